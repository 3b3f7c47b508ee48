@group(0) @binding(4) var<storage, read> codes: array<f32>; // [rows, added.y]

// What the deltas add to output `i` of token `t`.
fn up(t: u32, i: u32) -> f32 {
  var sum = 0.0;
  var z = t * p.added[0].y;
  for (var k = 0u; k < p.added[0].x; k++) {
    let d = running(k);
    let row = i - d.first_row;
    let weight_of = strength(d, t) * d.scale;
    if row < d.outputs && weight_of != 0.0 {
      var part = 0.0;
      if p.added[0].y != 0u {
        switch d.method {
          case 0u: { part = lora_up(d, z, row); }
          case 1u: { part = loha_up(d, z, row); }
          default: { part = lokr_up(d, z, row); }
        }
      }
      if d.bias != NONE {
        part += factors[d.bias + row];
      }
      sum += weight_of * part;
    }
    z += d.code_len;
  }
  return sum;
}
