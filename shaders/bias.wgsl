// y[t, first_row + i] += scale * bias[i]
struct Bias {
  first_token: u32,
  rows: u32,      // tokens
  len: u32,
  first_row: u32, // of y, where the bias begins
  y_width: u32,
  scale: f32,
}

@group(0) @binding(0) var<uniform> p: Bias;
@group(0) @binding(1) var<storage, read> bias: array<f32>;    // [len]
@group(0) @binding(2) var<storage, read_write> y: array<f32>; // [.., y_width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.len {
    return;
  }
  let t = p.first_token + index / p.len;
  let i = index % p.len;
  y[t * p.y_width + p.first_row + i] += p.scale * bias[i];
}
