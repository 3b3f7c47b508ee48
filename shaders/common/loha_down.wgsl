// LoHa: Z = w1_b diag(x) w2_b^T, an r x r code; four of a row
fn loha_down(d: Delta, token: Tokens, at: u32) -> Sums {
  let width = fours(d.rank);
  let w1_b = d.factors + at / width * d.row_len;
  let w2_b = d.factors + 4u * (width + at % width) * d.row_len;
  var sums = Sums();
  var j = 0u;
  loop {
    let left = factors[w1_b + j];
    let right = four_rows(w2_b + j, d.row_len);
    let rows = mat4x4f(left * right[0], left * right[1], left * right[2], left * right[3]);
    sums += products(rows, x_at(token, j));
    j++;
    if j >= d.row_len {
      break;
    }
  }
  return sums;
}
