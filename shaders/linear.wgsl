// y[t] = W x[t] for several tokens; an invocation computes four outputs of four tokens, so that
// what it reads once serves four products
@group(0) @binding(0) var<uniform> p: Linear;
@group(0) @binding(1) var<storage, read> weight: array<Block>; // [outputs, stride]
@group(0) @binding(2) var<storage, read> x: array<f32>;        // [rows, inputs]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [rows, outputs]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let across = (p.outputs + 3u) / 4u;
  if index >= across * ((p.rows + 3u) / 4u) {
    return;
  }
  // The last tile may be short: it computes its last output, and its last token, again.
  let four_of = vec4u(0u, 1u, 2u, 3u);
  let i = min(4u * (index % across) + four_of, vec4u(p.outputs - 1u));
  let t = min(4u * (index / across) + four_of, vec4u(p.rows - 1u));
  let row = i * p.stride;
  let start = t * p.inputs;
  let end = start + p.inputs;
  var sums = mat4x4f(); // a column for each output
  for (var block = 0u; block < p.stride; block++) {
    for (var part = 0u; part < FOURS; part++) {
      let at = start + 4u * (block * FOURS + part);
      let tokens = mat4x4f(x4(at.x, end.x), x4(at.y, end.y), x4(at.z, end.z), x4(at.w, end.w));
      sums[0] += four(row.x + block, part) * tokens;
      sums[1] += four(row.y + block, part) * tokens;
      sums[2] += four(row.z + block, part) * tokens;
      sums[3] += four(row.w + block, part) * tokens;
    }
  }
  for (var r = 0u; r < 4u; r++) {
    for (var k = 0u; k < 4u; k++) {
      y[t[k] * p.outputs + i[r]] = sums[r][k];
    }
  }
}
