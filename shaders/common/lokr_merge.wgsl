// LoKr, with i = (u, v) and j = (c, q): w1[u, c] w2[v, q]
fn lokr_merge(d: Delta, i: u32, j: u32) -> f32 {
  let v = i % d.w2_rows;
  let q = j % d.w2_cols;
  let w2 = d.factors + d.w1_rows * d.w1_cols;
  var right = 0.0;
  if d.rank == 0u {
    right = factors[w2 + v * d.w2_cols + q];
  }
  let w2_a = w2 + d.rank * d.w2_cols + v * d.rank;
  for (var k = 0u; k < d.rank; k++) {
    right += factors[w2_a + k] * factors[w2 + k * d.w2_cols + q];
  }
  return factors[d.factors + i / d.w2_rows * d.w1_cols + j / d.w2_cols] * right;
}
