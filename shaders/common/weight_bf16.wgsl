// Four numbers of a weight row stored as bf16, the upper halves of f32. Rows are padded with zeros
// to whole fours.
alias Weight4 = vec2u;

fn widen(w: Weight4) -> vec4f {
  let low = w << vec2u(16u);
  let high = w & vec2u(0xffff0000u);
  return bitcast<vec4f>(vec4u(low.x, high.x, low.y, high.y));
}
