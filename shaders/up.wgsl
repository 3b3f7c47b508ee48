// y[t] += what the deltas add, where no kernel that follows does it
struct Up {
  added: array<vec4u, 5>,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> p: Up;
@group(0) @binding(5) var<storage, read_write> y: array<f32>; // [rows, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let t = index / fours(p.width);
  if t >= p.rows {
    return;
  }
  let i = spread(index % fours(p.width), p.width);
  let added = up(t, i);
  for (var k = 0u; k < 4u; k++) {
    if i[k] < p.width {
      y[t * p.width + i[k]] += added[k];
    }
  }
}
