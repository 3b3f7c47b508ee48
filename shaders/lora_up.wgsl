// LoRA: y[t] += scale * B z[t]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // A [rank, inputs], B [outputs, rank]
@group(0) @binding(2) var<storage, read> z: array<f32>;       // [rows, rank]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [.., y_width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.outputs {
    return;
  }
  let t = index / p.outputs;
  let i = index % p.outputs;
  let b = p.rank * (p.inputs + i);
  var sum = 0.0;
  for (var k = 0u; k < p.rank; k++) {
    sum += factors[b + k] * z[t * p.rank + k];
  }
  y[(p.first + t) * p.y_width + p.first_row + i] += p.scale * sum;
}
