// LoRA: four of (B A)[i]
fn lora_merge(d: Delta, i: u32, j: u32) -> vec4f {
  let width = fours(d.rank);
  let b = d.factors + d.down_len + i * width;
  var sum = vec4f();
  for (var k = 0u; k < width; k++) {
    sum += four_rows(d.factors + 4u * k * d.row_len + j, d.row_len) * factors[b + k];
  }
  return sum;
}
