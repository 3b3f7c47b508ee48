// A weight stored as f16, without the shader-f16 feature. A block is four numbers; rows are padded
// with zeros to whole blocks.
alias Block = vec2u;
const FOURS: u32 = 1u; // in a block

fn four(block: u32, part: u32) -> vec4f {
  let w = weight[block];
  return vec4f(unpack2x16float(w.x), unpack2x16float(w.y));
}
