// LoRA: z . B[i]
fn lora_up(d: Delta, first: u32, i: vec4u) -> array<vec4u, 3> {
  return array(vec4u(first), first + i * d.right_len, vec4u());
}
