// A weight stored as f32. A block is four numbers; rows are padded with zeros to whole blocks.
alias Block = vec4f;
const FOURS: u32 = 1u; // in a block

fn four(block: u32, part: u32) -> vec4f {
  return weight[block];
}
