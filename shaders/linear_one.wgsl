// y = W x + bias and the codes of the deltas for one token; an invocation computes one of them
@group(0) @binding(0) var<uniform> p: Linear;

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let i = flat_index(id, groups);
  if i >= p.outputs {
    let code = i - p.outputs;
    if code < p.added[0].y {
      down(0u, code);
    }
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
  write(0u, i, sums.x + sums.y + sums.z + sums.w);
}
