// The deltas on a weight, which run beside it: z = down(x), y += strength * scale * up(z). The
// product with the weight computes the codes z of all of them in its own dispatch; the kernel that
// takes y next adds their up as it reads. So an adapter has no dispatch of its own.
//
// A shader that has them begins with `added: array<vec4u, 5>` in its uniform struct; in the first:
//   x  how many deltas run
//   y  numbers in the codes of one token, one delta behind the other; 0 where the weight holds the
//      deltas already, so that only their biases are left to add
//   z  row of `strengths` for the first token
//   w  numbers in a row of `strengths`, 0 where all tokens share one row
// The others say which run; where they are more than 16, all are tried.

// One of them. Mirrored by `Delta` in src/gpu/params.rs.
struct Delta {
  method: u32,    // 0 LoRA, 1 LoHa, 2 LoKr
  inputs: u32,    // `in` of the weight
  outputs: u32,   // `out` of this delta
  rank: u32,      // r; for LoKr the rank of w2, 0 where w2 is whole
  w1_rows: u32,   // LoKr: ol
  w1_cols: u32,   // LoKr: im
  w2_rows: u32,   // LoKr: ok
  w2_cols: u32,   // LoKr: in_n
  first_row: u32, // first output row of the weight that the delta changes
  adapter: u32,   // its column of `strengths`
  factors: u32,   // where they begin
  bias: u32,      // where it begins, NONE without one
  code_len: u32,
  scale: f32,
}
const NONE: u32 = 0xffffffffu;

@group(0) @binding(1) var<storage, read> deltas: array<Delta>;
// LoRA: A [rank, inputs], B [outputs, rank]. LoHa: w1_a [outputs, rank], w1_b [rank, inputs], w2_a,
// w2_b. LoKr: w1 [w1_rows, w1_cols], then w2_b [rank, w2_cols], w2_a [w2_rows, rank] or the whole
// w2 [w2_rows, w2_cols].
@group(0) @binding(2) var<storage, read> factors: array<f32>;
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
