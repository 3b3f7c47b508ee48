// LoHa: Z[t] = w1_b diag(x[t]) w2_b^T, an r x r code
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // w1_a [outputs, rank], w1_b [rank, inputs], w2_a, w2_b
@group(0) @binding(2) var<storage, read> x: array<f32>;       // [.., inputs]
@group(0) @binding(3) var<storage, read_write> z: array<f32>; // [rows, rank, rank]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.rank * p.rank {
    return;
  }
  let row = (p.first + index / (p.rank * p.rank)) * p.inputs;
  let half_len = p.rank * (p.outputs + p.inputs);
  let w1_b = p.rank * p.outputs + index / p.rank % p.rank * p.inputs;
  let w2_b = half_len + p.rank * p.outputs + index % p.rank * p.inputs;
  var sum = 0.0;
  for (var j = 0u; j < p.inputs; j++) {
    sum += factors[w1_b + j] * factors[w2_b + j] * x[row + j];
  }
  z[index] = sum;
}
