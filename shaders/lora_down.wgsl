// LoRA: z[t] = A x[t]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // A [rank, inputs], B [outputs, rank]
@group(0) @binding(2) var<storage, read> x: array<f32>;       // [.., inputs]
@group(0) @binding(3) var<storage, read_write> z: array<f32>; // [rows, rank]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.rank {
    return;
  }
  let row = (p.first + index / p.rank) * p.inputs;
  let a = index % p.rank * p.inputs;
  var sum = 0.0;
  for (var j = 0u; j < p.inputs; j++) {
    sum += factors[a + j] * x[row + j];
  }
  z[index] = sum;
}
