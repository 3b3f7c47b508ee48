// LoRA: B[i] . z
fn lora_up(d: Delta, z: u32, i: u32) -> f32 {
  let b = d.factors + d.rank * (d.inputs + i);
  var sum = 0.0;
  for (var k = 0u; k < d.rank; k++) {
    sum += factors[b + k] * codes[z + k];
  }
  return sum;
}
