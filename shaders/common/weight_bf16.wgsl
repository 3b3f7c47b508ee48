// A weight stored as bf16, the upper halves of f32. A block is four numbers; rows are padded with
// zeros to whole blocks.
alias Block = vec2u;
const FOURS: u32 = 1u; // in a block

fn four(block: u32, part: u32) -> vec4f {
  let w = weight[block];
  let low = w << vec2u(16u);
  let high = w & vec2u(0xffff0000u);
  return bitcast<vec4f>(vec4u(low.x, high.x, low.y, high.y));
}
