// y[t] = W x[t] + bias and the codes of the deltas, for several tokens; an invocation computes four
// outputs of four tokens, so that what it reads once serves four products, or one number of a code
@group(0) @binding(0) var<uniform> p: Linear;

// A column for each of the four rows of W whose blocks are given: its product with each token.
fn products(block: vec4u, part: u32, tokens: mat4x4f) -> mat4x4f {
  return mat4x4f(
    four(block.x, part) * tokens,
    four(block.y, part) * tokens,
    four(block.z, part) * tokens,
    four(block.w, part) * tokens,
  );
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let across = (p.outputs + 3u) / 4u;
  let tiles = across * ((p.rows + 3u) / 4u);
  if index >= tiles {
    // The tiles first, then the codes.
    let code = index - tiles;
    if code < p.rows * p.added[0].y {
      down(code / p.added[0].y, code % p.added[0].y);
    }
    return;
  }
  // The last tile may be short: it computes its last output, and its last token, again.
  let four_of = vec4u(0u, 1u, 2u, 3u);
  let i = min(4u * (index % across) + four_of, vec4u(p.outputs - 1u));
  let t = min(4u * (index / across) + four_of, vec4u(p.rows - 1u));
  let row = i * p.stride;
  let token = t * p.inputs;
  let whole = p.inputs / (4u * FOURS);
  var sums = mat4x4f();
  for (var block = 0u; block < whole; block++) {
    for (var part = 0u; part < FOURS; part++) {
      let at = token + 4u * (block * FOURS + part);
      sums += products(row + block, part, mat4x4f(x4(at.x), x4(at.y), x4(at.z), x4(at.w)));
    }
  }
  if whole < p.stride {
    let last = mat4x4f(x_last(token.x), x_last(token.y), x_last(token.z), x_last(token.w));
    sums += products(row + whole, 0u, last);
  }
  for (var r = 0u; r < 4u; r++) {
    for (var k = 0u; k < 4u; k++) {
      write(t[k], i[r], sums[r][k]);
    }
  }
}
