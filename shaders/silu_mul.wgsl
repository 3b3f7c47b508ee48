// out = silu(gate) * up
struct SiluMul {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> p: SiluMul;
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;      // [rows, 2 width]
@group(0) @binding(2) var<storage, read_write> result: array<f32>; // [rows, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.width {
    return;
  }
  let at = index / p.width * 2u * p.width + index % p.width;
  let gate = gate_up[at];
  // Below -80 the sigmoid is 0 in f32; without the bound the exponential would overflow.
  result[index] = gate / (1.0 + exp(-max(gate, -80.0))) * gate_up[at + p.width];
}
