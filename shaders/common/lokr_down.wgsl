// LoKr: S = x w2_b^T (low-rank w2) or x w2^T (whole w2), x read as [w1_cols, w2_cols]
fn lokr_down(d: Delta, token: u32, at: u32) -> f32 {
  let width = select(d.rank, d.w2_rows, d.rank == 0u);
  let segment = token + at / width * d.w2_cols;
  let w2 = d.factors + d.w1_rows * d.w1_cols + at % width * d.w2_cols;
  var sum = 0.0;
  for (var q = 0u; q < d.w2_cols; q++) {
    sum += factors[w2 + q] * x[segment + q];
  }
  return sum;
}
