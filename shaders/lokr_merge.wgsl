// LoKr: W[(u, v), (c, q)] += scale * w1[u, c] * w2[v, q]
@group(0) @binding(0) var<uniform> p: Delta;
@group(0) @binding(1) var<storage, read> factors: array<f32>;      // w1 [w1_rows, w1_cols], w2_b [rank, w2_cols], w2_a [w2_rows, rank]; or w1, w2 [w2_rows, w2_cols]
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
  let v = i % p.w2_rows;
  let q = j % p.w2_cols;
  let w2 = p.w1_rows * p.w1_cols;
  var right = 0.0;
  if p.rank == 0u {
    right = factors[w2 + v * p.w2_cols + q];
  } else {
    let w2_a = w2 + p.rank * p.w2_cols + v * p.rank;
    for (var k = 0u; k < p.rank; k++) {
      right += factors[w2_a + k] * factors[w2 + k * p.w2_cols + q];
    }
  }
  let left = factors[i / p.w2_rows * p.w1_cols + j / p.w2_cols];
  weight[(p.first_row + row) * p.y_width + j] += p.scale * left * right;
}
