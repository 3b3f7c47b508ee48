// y = W x for one token; an invocation computes one output
@group(0) @binding(0) var<uniform> p: Linear;
@group(0) @binding(1) var<storage, read> weight: array<Block>; // [outputs, stride]
@group(0) @binding(2) var<storage, read> x: array<f32>;        // [inputs]
@group(0) @binding(3) var<storage, read_write> y: array<f32>;  // [y_width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat_index(id, groups);
  if i >= p.outputs {
    return;
  }
  let row = i * p.stride;
  let whole = p.inputs / (4u * FOURS);
  var sums = vec4f();
  for (var block = 0u; block < whole; block++) {
    for (var part = 0u; part < FOURS; part++) {
      sums += four(row + block, part) * x4(4u * (block * FOURS + part));
    }
  }
  if whole < p.stride {
    sums += four(row + whole, 0u) * x_last(0u);
  }
  y[p.first + i] = sums.x + sums.y + sums.z + sums.w;
}
