// Four numbers of a weight row stored as f16, without the shader-f16 feature. Rows are padded with
// zeros to whole fours.
alias Weight4 = vec2u;

fn widen(w: Weight4) -> vec4f {
  return vec4f(unpack2x16float(w.x), unpack2x16float(w.y));
}
