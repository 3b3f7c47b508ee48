// A weight stored as Q4_1: blocks of 32 numbers q d + m. A block is five words: d and m as f16, then
// sixteen bytes: the low half of byte j is the q of number j, the high half that of number j + 16.
alias Block = array<u32, 5>;
const FOURS: u32 = 8u; // in a block

fn four(block: u32, part: u32) -> vec4f {
  let word = weight[block][1u + part % 4u];
  let q = (vec4u(word) >> (vec4u(0u, 8u, 16u, 24u) + part / 4u * 4u)) & vec4u(15u);
  let scales = unpack2x16float(weight[block][0]);
  return vec4f(q) * scales.x + scales.y;
}
