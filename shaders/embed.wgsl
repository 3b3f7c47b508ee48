// out[t] = table[ids[t]], for the ids in one piece of the table
struct Embed {
  rows: u32,
  width: u32,
  stride: u32,   // fours in a row of the table
  first_id: u32, // row of the table where the piece begins
  piece: u32,    // rows in the piece
}

@group(0) @binding(0) var<uniform> p: Embed;
@group(0) @binding(1) var<storage, read> weight: array<Block>;     // [piece, stride / FOURS]
@group(0) @binding(2) var<storage, read> ids: array<u32>;          // [rows]
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [rows, width]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.rows * p.stride {
    return;
  }
  let t = index / p.stride;
  let j = index % p.stride;
  // What comes before the piece wraps to a large number.
  let row = ids[t] - p.first_id;
  if row >= p.piece {
    return;
  }
  let at = row * p.stride + j;
  let w = four(at / FOURS, at % FOURS);
  for (var k = 0u; k < 4u; k++) {
    if 4u * j + k < p.width {
      result[t * p.width + 4u * j + k] = w[k];
    }
  }
}
