// LoKr: S[t] = x[t] w2_b^T (low-rank w2) or x[t] w2^T (whole w2), x[t] read as [w1_cols, w2_cols]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // w1 [w1_rows, w1_cols], w2_b [rank, w2_cols], w2_a [w2_rows, rank]; or w1, w2 [w2_rows, w2_cols]
@group(0) @binding(2) var<storage, read> x: array<f32>;       // [.., w1_cols, w2_cols]
@group(0) @binding(3) var<storage, read_write> z: array<f32>; // [rows, w1_cols, rank or w2_rows]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let width = select(p.rank, p.w2_rows, p.rank == 0u);
  if index >= p.rows * p.w1_cols * width {
    return;
  }
  let segment = p.first * p.inputs + index / width * p.w2_cols;
  let w2 = p.w1_rows * p.w1_cols + index % width * p.w2_cols;
  var sum = 0.0;
  for (var q = 0u; q < p.w2_cols; q++) {
    sum += factors[w2 + q] * x[segment + q];
  }
  z[index] = sum;
}
