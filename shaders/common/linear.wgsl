// What the products with a weight share. Mirrored by `Linear` in src/gpu/params.rs.
struct Linear {
  rows: u32, // tokens
  inputs: u32,
  outputs: u32, // of the piece of W
  stride: u32,  // blocks in a row of W
  first: u32,   // output of the first of them
  y_width: u32, // outputs of the whole of W
}

// Four numbers of x.
fn x4(first: u32) -> vec4f {
  return vec4f(x[first], x[first + 1u], x[first + 2u], x[first + 3u]);
}

// The last numbers of a token whose length is not whole fours, then zeros.
fn x_last(token: u32) -> vec4f {
  let rest = p.inputs % 4u;
  let first = token + p.inputs - rest;
  return vec4f(x[first], select(0.0, x[first + 1u], rest > 1u), select(0.0, x[first + 2u], rest > 2u), 0.0);
}
