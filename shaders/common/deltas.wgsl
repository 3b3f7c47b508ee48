// The deltas on a weight, which run beside it: z = down(x), y += strength * scale * up(z). The
// product with the weight computes the codes z of all of them in its own dispatch; the kernel that
// takes y next adds their up as it reads. So an adapter has no dispatch of its own.
//
// A shader that has them begins with `added: array<vec4u, 5>` in its uniform struct; in the first:
//   x  how many deltas run
//   y  fours in the codes of one token, one delta behind the other; 0 where the weight holds the
//      deltas already, so that only their biases are left to add
//   z  row of `strengths` for the first token
//   w  numbers in a row of `strengths`, 0 where all tokens share one row
// The others say which run; where they are more than 16, all are tried.

// One of them. Mirrored by `Delta` in src/gpu/params.rs.
struct Delta {
  method: u32,    // 0 LoRA, 1 LoHa, 2 LoKr
  outputs: u32,   // `out` of this delta
  rank: u32,      // r; for LoKr the rank of w2, 0 where w2 is whole
  w1_rows: u32,   // LoKr: ol
  w1_cols: u32,   // LoKr: im
  w2_rows: u32,   // LoKr: ok
  w2_cols: u32,   // LoKr: in_n
  first_row: u32, // first output row of the weight that the delta changes
  adapter: u32,   // its column of `strengths`
  factors: u32,   // four where they begin
  down_len: u32,  // fours of those that `down` reads; those of `up` lie behind
  row_len: u32,   // fours in a row of those that `down` reads
  left_len: u32,  // fours in a row of the factor that `up` has on the left, 0 where it has none
  right_len: u32, // and on the right
  bias: u32,      // number where it begins, NONE without one
  code_len: u32,  // in fours
  scale: f32,
}
const NONE: u32 = 0xffffffffu;

@group(0) @binding(1) var<storage, read> deltas: array<Delta>;
// Rows are padded with zeros to whole fours; before the bar, which `down` reads, there are whole
// fours of rows too.
// LoRA: A [rank, inputs] | B [outputs, rank]. LoHa: w1_b [rank, inputs], w2_b | w1_a [outputs, rank],
// w2_a. LoKr: w2_b [rank, w2_cols] or the whole w2 [w2_rows, w2_cols] | w1 [w1_rows, w1_cols], w2_a
// [w2_rows, rank]; where w2_cols is no whole fours, four times: moved by 0, 1, 2 and 3 numbers.
@group(0) @binding(2) var<storage, read> factors: array<vec4f>;
@group(0) @binding(3) var<storage, read> strengths: array<f32>; // [.., adapters]

// The delta that runs as number `k`.
fn running(k: u32) -> Delta {
  if p.added[0].x > 16u {
    return deltas[k];
  }
  return deltas[p.added[1u + k / 4u][k % 4u]];
}

fn strength(d: Delta, t: u32) -> f32 {
  return strengths[(p.added[0].z + t) * p.added[0].w + d.adapter];
}

fn fours(numbers: u32) -> u32 {
  return (numbers + 3u) / 4u;
}

fn factor(at: u32) -> f32 {
  return factors[at / 4u][at % 4u];
}

// The same four of four rows of `len` fours, from the first of them.
fn four_rows(at: u32, len: u32) -> mat4x4f {
  return mat4x4f(factors[at], factors[at + len], factors[at + 2u * len], factors[at + 3u * len]);
}
