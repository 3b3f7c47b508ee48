// out = silu(gate) * up, both with their deltas
struct SiluMul {
  added: array<vec4u, 5>,
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> p: SiluMul;
@group(0) @binding(5) var<storage, read> gate_up: array<f32>;      // [rows, 2 width]
@group(0) @binding(6) var<storage, read_write> result: array<f32>; // [rows, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.width {
    return;
  }
  let t = index / p.width;
  let i = index % p.width;
  let at = 2u * t * p.width + i;
  let gate = gate_up[at] + up(t, i);
  // Below -80 the sigmoid is 0 in f32; without the bound the exponential would overflow.
  result[index] = gate / (1.0 + exp(-max(gate, -80.0))) * (gate_up[at + p.width] + up(t, p.width + i));
}
