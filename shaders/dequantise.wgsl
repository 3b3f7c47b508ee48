// The numbers of a weight as f32: the ground that merge kernels add to
struct Dequantise {
  len: u32,     // fours
  from_at: u32, // the first of them in the weight
  to_at: u32,   // and in the result
}

@group(0) @binding(0) var<uniform> p: Dequantise;
@group(0) @binding(1) var<storage, read> weight: array<Block>;       // some rows of [outputs, stride]
@group(0) @binding(2) var<storage, read_write> result: array<vec4f>; // some rows of [outputs, stride FOURS]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index < p.len {
    let at = p.from_at + index;
    result[p.to_at + index] = four(at / FOURS, at % FOURS);
  }
}
