// y[t] = W x[t]; an invocation computes one output of four tokens, so that it reads W once for them
struct Linear {
  rows: u32,
  inputs: u32,
  outputs: u32,
  stride: u32, // Weight4s in a row of W
}

@group(0) @binding(0) var<uniform> p: Linear;
@group(0) @binding(1) var<storage, read> weight: array<Weight4>; // [outputs, stride]
@group(0) @binding(2) var<storage, read> x: array<f32>;          // [rows, inputs]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;    // [rows, outputs]

fn x4(row: u32, j: u32) -> vec4f {
  return vec4f(x[row + j], x[row + j + 1u], x[row + j + 2u], x[row + j + 3u]);
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.outputs * ((p.rows + 3u) / 4u) {
    return;
  }
  let i = index % p.outputs;
  // The last tile may be short: the surplus invocations of a tile repeat its last token.
  let first = 4u * (index / p.outputs);
  let count = min(4u, p.rows - first);
  let tokens = first + min(vec4u(0u, 1u, 2u, 3u), vec4u(count - 1u));
  let at = tokens * p.inputs;
  let whole = p.inputs / 4u;
  var sum = vec4f();
  for (var k = 0u; k < whole; k++) {
    let w = widen(weight[i * p.stride + k]);
    let j = 4u * k;
    sum += vec4f(dot(w, x4(at.x, j)), dot(w, x4(at.y, j)), dot(w, x4(at.z, j)), dot(w, x4(at.w, j)));
  }
  if 4u * whole < p.inputs {
    let w = widen(weight[i * p.stride + whole]);
    for (var j = 4u * whole; j < p.inputs; j++) {
      sum += w[j - 4u * whole] * vec4f(x[at.x + j], x[at.y + j], x[at.z + j], x[at.w + j]);
    }
  }
  for (var k = 0u; k < count; k++) {
    y[(first + k) * p.outputs + i] = sum[k];
  }
}
