// LoHa: y[t, i] += scale * w1_a[i]^T Z[t] w2_a[i]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // w1_a [outputs, rank], w1_b [rank, inputs], w2_a, w2_b
@group(0) @binding(2) var<storage, read> z: array<f32>;       // [rows, rank, rank]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [.., y_width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.outputs {
    return;
  }
  let t = index / p.outputs;
  let i = index % p.outputs;
  let w1_a = i * p.rank;
  let w2_a = p.rank * (p.outputs + p.inputs) + i * p.rank;
  var sum = 0.0;
  for (var a = 0u; a < p.rank; a++) {
    var row = 0.0;
    for (var b = 0u; b < p.rank; b++) {
      row += z[(t * p.rank + a) * p.rank + b] * factors[w2_a + b];
    }
    sum += factors[w1_a + a] * row;
  }
  y[(p.first + t) * p.y_width + p.first_row + i] += p.scale * sum;
}
