// The flat index of an invocation. A dispatch is at most 65535 workgroups wide, so long ones wrap
// into y.
fn flat_index(id: vec3u, groups: vec3u) -> u32 {
  return id.x + id.y * groups.x * 64u;
}
