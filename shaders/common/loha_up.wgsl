// LoHa: w1_a[i]^T Z w2_a[i]
fn loha_up(d: Delta, z: u32, i: u32) -> f32 {
  let w1_a = d.factors + i * d.rank;
  let w2_a = w1_a + d.rank * (d.outputs + d.inputs);
  var sum = 0.0;
  for (var a = 0u; a < d.rank; a++) {
    var row = 0.0;
    for (var b = 0u; b < d.rank; b++) {
      row += codes[z + a * d.rank + b] * factors[w2_a + b];
    }
    sum += factors[w1_a + a] * row;
  }
  return sum;
}
