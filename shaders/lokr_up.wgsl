// LoKr: with i = (u, v): y[t, i] += scale * w2_a[v] . (w1 S[t])[u], or (w1 S[t])[u, v] for a whole w2
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>; // w1 [w1_rows, w1_cols], w2_b [rank, w2_cols], w2_a [w2_rows, rank]; or w1, w2 [w2_rows, w2_cols]
@group(0) @binding(2) var<storage, read> z: array<f32>;       // [rows, w1_cols, rank or w2_rows]
@group(0) @binding(3) var<storage, read_write> y: array<f32>; // [.., y_width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.outputs {
    return;
  }
  let t = index / p.outputs;
  let i = index % p.outputs;
  let w1 = i / p.w2_rows * p.w1_cols;
  let v = i % p.w2_rows;
  let w2_a = p.w1_rows * p.w1_cols + p.rank * p.w2_cols + v * p.rank;
  var sum = 0.0;
  if p.rank == 0u {
    for (var c = 0u; c < p.w1_cols; c++) {
      sum += factors[w1 + c] * z[(t * p.w1_cols + c) * p.w2_rows + v];
    }
  } else {
    for (var c = 0u; c < p.w1_cols; c++) {
      var code = 0.0;
      for (var k = 0u; k < p.rank; k++) {
        code += factors[w2_a + k] * z[(t * p.w1_cols + c) * p.rank + k];
      }
      sum += factors[w1 + c] * code;
    }
  }
  y[(p.first + t) * p.y_width + p.first_row + i] += p.scale * sum;
}
