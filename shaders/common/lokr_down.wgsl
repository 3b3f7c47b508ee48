// LoKr: S^T = w2_b x^T (low-rank w2) or w2 x^T (whole w2), x read as [w1_cols, w2_cols]; four of a
// column of S^T. Its rows are padded with zeros to whole fours.
fn lokr_down(d: Delta, token: Tokens, at: u32) -> Sums {
  let width = 4u * fours(d.w1_cols);
  let c = at % width;
  let first = c * d.w2_cols;
  let copy = first % 4u * fours(select(d.rank, d.w2_rows, d.rank == 0u));
  let w2 = d.factors + 4u * (copy + at / width) * d.row_len - first / 4u;
  let end = fours(first + d.w2_cols);
  var sums = Sums();
  if c < d.w1_cols {
    var j = first / 4u;
    loop {
      sums += products(four_rows(w2 + j, d.row_len), x_at(token, j));
      j++;
      if j >= end {
        break;
      }
    }
  }
  return sums;
}
