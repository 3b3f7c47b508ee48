// out = silu(gate) * up, both with their deltas; an invocation computes two
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
  let across = (p.width + 1u) / 2u;
  let t = index / across;
  if t >= p.rows {
    return;
  }
  let i = vec2u(0u, across) + index % across;
  let added = up(t, vec4u(i, p.width + i));
  for (var k = 0u; k < 2u; k++) {
    if i[k] < p.width {
      let at = 2u * t * p.width + i[k];
      let gate = gate_up[at] + added[k];
      // Below -80 the sigmoid is 0 in f32; without the bound the exponential would overflow.
      let silu = gate / (1.0 + exp(-max(gate, -80.0)));
      result[t * p.width + i[k]] = silu * (gate_up[at + p.width] + added[k + 2u]);
    }
  }
}
