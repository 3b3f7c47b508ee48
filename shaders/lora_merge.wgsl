// LoRA: W[i, j] += scale * (B A)[i, j]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>;      // A [rank, inputs], B [outputs, rank]
@group(0) @binding(2) var<storage, read_write> weight: array<f32>; // [.., y_width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.inputs {
    return;
  }
  let row = index / p.inputs;
  let i = p.first + row;
  let j = index % p.inputs;
  let b = p.rank * (p.inputs + i);
  var sum = 0.0;
  for (var k = 0u; k < p.rank; k++) {
    sum += factors[b + k] * factors[k * p.inputs + j];
  }
  weight[(p.first_row + row) * p.y_width + j] += p.scale * sum;
}
