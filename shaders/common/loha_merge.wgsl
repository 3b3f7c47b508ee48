// LoHa: four of (w1_a w1_b)[i] (w2_a w2_b)[i]
fn loha_merge(d: Delta, i: u32, j: u32) -> vec4f {
  let width = fours(d.rank);
  let a = d.factors + d.down_len + i * width;
  var first = vec4f();
  var second = vec4f();
  for (var k = 0u; k < width; k++) {
    let b = d.factors + 4u * k * d.row_len + j;
    first += four_rows(b, d.row_len) * factors[a + k];
    second += four_rows(b + d.down_len / 2u, d.row_len) * factors[a + d.outputs * width + k];
  }
  return first * second;
}
