// LoRA: z = A x
fn lora_down(d: Delta, token: u32, at: u32) -> f32 {
  let a = d.factors + at * d.inputs;
  var sum = 0.0;
  for (var j = 0u; j < d.inputs; j++) {
    sum += factors[a + j] * x[token + j];
  }
  return sum;
}
