// x += y
struct Add {
  len: u32,
}

@group(0) @binding(0) var<uniform> p: Add;
@group(0) @binding(1) var<storage, read_write> x: array<f32>; // [len]
@group(0) @binding(2) var<storage, read> y: array<f32>;       // [len]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index < p.len {
    x[index] += y[index];
  }
}
