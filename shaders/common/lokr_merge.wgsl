// LoKr, with i = (u, v) and j = (c, q): four of w1[u, c] w2[v, q]
fn lokr_merge(d: Delta, i: u32, four_of: u32) -> vec4f {
  let v = i % d.w2_rows;
  let width = fours(d.w1_cols);
  let w1 = d.factors + d.down_len;
  let w2_a = w1 + d.w1_rows * width + v * fours(d.rank);
  var sum = vec4f();
  for (var lane = 0u; lane < 4u; lane++) {
    let j = 4u * four_of + lane;
    let c = j / d.w2_cols;
    // Behind the row lie zeros.
    if c < d.w1_cols {
      let w2 = 4u * d.factors + j % d.w2_cols;
      var right = 0.0;
      if d.rank == 0u {
        right = factor(w2 + 4u * v * d.row_len);
      }
      for (var k = 0u; k < d.rank; k++) {
        right += factor(4u * w2_a + k) * factor(w2 + 4u * k * d.row_len);
      }
      sum[lane] = factor(4u * (w1 + i / d.w2_rows * width) + c) * right;
    }
  }
  return sum;
}
