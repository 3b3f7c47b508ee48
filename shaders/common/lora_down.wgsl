// LoRA: z = A x
fn lora_down(d: Delta, token: Tokens, at: u32) -> Sums {
  let a = d.factors + 4u * at * d.row_len;
  var sums = Sums();
  var j = 0u;
  loop {
    sums += products(four_rows(a + j, d.row_len), x_at(token, j));
    j++;
    if j >= d.row_len {
      break;
    }
  }
  return sums;
}
