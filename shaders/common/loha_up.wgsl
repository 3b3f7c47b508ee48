// LoHa: w1_a[i]^T Z w2_a[i]
fn loha_up(d: Delta, first: u32, i: vec4u) -> array<vec4u, 3> {
  let left = first + i * d.left_len;
  return array(left, left + d.outputs * d.left_len, vec4u(0u, 1u, 2u, 3u) * d.right_len);
}
