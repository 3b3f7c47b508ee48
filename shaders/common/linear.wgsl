// What the products with a weight share. Mirrored by `Linear` in src/gpu/params.rs.
struct Linear {
  rows: u32, // tokens
  inputs: u32,
  outputs: u32,
  stride: u32, // blocks in a row of W
}

// Four numbers of x, those from `end` on as zeros.
fn x4(first: u32, end: u32) -> vec4f {
  if first + 4u <= end {
    return vec4f(x[first], x[first + 1u], x[first + 2u], x[first + 3u]);
  }
  var some = vec4f();
  for (var k = 0u; first + k < end; k++) {
    some[k] = x[first + k];
  }
  return some;
}
