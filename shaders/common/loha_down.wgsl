// LoHa: Z = w1_b diag(x) w2_b^T, an r x r code
fn loha_down(d: Delta, token: u32, at: u32) -> f32 {
  let w1_b = d.factors + d.rank * d.outputs + at / d.rank * d.inputs;
  let w2_b = d.factors + d.rank * (2u * d.outputs + d.inputs) + at % d.rank * d.inputs;
  var sum = 0.0;
  for (var j = 0u; j < d.inputs; j++) {
    sum += factors[w1_b + j] * factors[w2_b + j] * x[token + j];
  }
  return sum;
}
