// LoRA: (B A)[i, j]
fn lora_merge(d: Delta, i: u32, j: u32) -> f32 {
  let b = d.factors + d.rank * (d.inputs + i);
  var sum = 0.0;
  for (var k = 0u; k < d.rank; k++) {
    sum += factors[b + k] * factors[d.factors + k * d.inputs + j];
  }
  return sum;
}
