// LoHa: (w1_a w1_b)[i, j] (w2_a w2_b)[i, j]
fn loha_merge(d: Delta, i: u32, j: u32) -> f32 {
  let half_len = d.rank * (d.outputs + d.inputs);
  let a = d.factors + i * d.rank;
  let b = d.factors + d.rank * d.outputs + j;
  var first = 0.0;
  var second = 0.0;
  for (var k = 0u; k < d.rank; k++) {
    first += factors[a + k] * factors[b + k * d.inputs];
    second += factors[half_len + a + k] * factors[half_len + b + k * d.inputs];
  }
  return first * second;
}
