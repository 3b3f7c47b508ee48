// A weight stored as Q8_0: blocks of 32 numbers q d. A block is nine words: d as f16, then four
// signed bytes q a word.
alias Block = array<u32, 9>;
const FOURS: u32 = 8u; // in a block

fn four(block: u32, part: u32) -> vec4f {
  let word = weight[block][1u + part];
  let q = bitcast<vec4i>(vec4u(word) << vec4u(24u, 16u, 8u, 0u)) >> vec4u(24u);
  return vec4f(q) * unpack2x16float(weight[block][0]).x;
}
