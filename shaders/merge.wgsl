// The numbers of a weight as f32, with those of its deltas: W + sum of strength * scale * dW
struct Merge {
  added: array<vec4u, 5>,
  len: u32,       // fours
  row_len: u32,   // fours in a row
  from_at: u32,   // the first of them in the piece of W
  to_at: u32,     // and in the result
  first_row: u32, // row of W of the first of them
}

@group(0) @binding(0) var<uniform> p: Merge;
@group(0) @binding(4) var<storage, read> weight: array<Block>;       // of [outputs, stride]
@group(0) @binding(5) var<storage, read_write> result: array<vec4f>; // of [outputs, row_len]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  if index >= p.len {
    return;
  }
  let at = p.from_at + index;
  var w = four(at / FOURS, at % FOURS);
  for (var k = 0u; k < p.added[0].x; k++) {
    let d = running(k);
    let i = p.first_row + index / p.row_len - d.first_row;
    let weight_of = strength(d, 0u) * d.scale;
    if i < d.outputs && weight_of != 0.0 {
      let j = index % p.row_len;
      var part = vec4f();
      switch d.method {
        case 0u: { part = lora_merge(d, i, j); }
        case 1u: { part = loha_merge(d, i, j); }
        default: { part = lokr_merge(d, i, j); }
      }
      w += weight_of * part;
    }
  }
  result[p.to_at + index] = w;
}
