// The numbers of a weight as f32: the ground that merge kernels add to
struct Dequantise {
  len: u32, // fours
}

@group(0) @binding(0) var<uniform> p: Dequantise;
@group(0) @binding(1) var<storage, read> weight: array<Block>;       // [outputs, stride]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // [outputs, stride FOURS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index < p.len {
    result[index] = four(index / FOURS, index % FOURS);
  }
}
