// LoHa: W[i, j] += scale * (w1_a w1_b)[i, j] * (w2_a w2_b)[i, j]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>;      // w1_a [outputs, rank], w1_b [rank, inputs], w2_a, w2_b
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
  let half_len = p.rank * (p.outputs + p.inputs);
  let a = i * p.rank;
  let b = p.rank * p.outputs + j;
  var first = 0.0;
  var second = 0.0;
  for (var k = 0u; k < p.rank; k++) {
    first += factors[a + k] * factors[b + k * p.inputs];
    second += factors[half_len + a + k] * factors[half_len + b + k * p.inputs];
  }
  weight[(p.first_row + row) * p.y_width + j] += p.scale * first * second;
}
