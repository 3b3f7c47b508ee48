// What the products with a weight share. Mirrored by `Linear` in src/gpu/params.rs.
struct Linear {
  added: array<vec4u, 5>,
  rows: u32, // tokens
  inputs: u32,
  outputs: u32, // of the piece of W
  stride: u32,  // blocks in a row of W
  first: u32,   // output of the first of them
  y_width: u32, // outputs of the whole of W
  bias: u32,    // 1 where there is one
}

@group(0) @binding(5) var<storage, read> weight: array<Block>; // [outputs, stride]
@group(0) @binding(7) var<storage, read> bias: array<f32>;     // [y_width]
@group(0) @binding(8) var<storage, read_write> y: array<f32>;  // [rows, y_width]

fn write(t: u32, i: u32, product: f32) {
  let at = p.first + i;
  var sum = product;
  if p.bias != 0u {
    sum += bias[at];
  }
  y[t * p.y_width + at] = sum;
}
