// LoKr, with i = (u, v): w2_a[v]^T S^T w1[u], or S^T[v] . w1[u] for a whole w2
fn lokr_up(d: Delta, first: u32, i: vec4u) -> array<vec4u, 3> {
  let right = first + i / d.w2_rows * d.right_len;
  let v = i % d.w2_rows;
  if d.rank == 0u {
    return array(vec4u(first), right, v * d.right_len);
  }
  let left = first + d.w1_rows * d.right_len + v * d.left_len;
  return array(left, right, vec4u(0u, 1u, 2u, 3u) * d.right_len);
}
