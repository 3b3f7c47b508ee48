@group(0) @binding(4) var<storage, read_write> codes: array<f32>; // [rows, added.y]

// Computes number `c` of the codes of token `t`.
fn down(t: u32, c: u32) {
  var at = c;
  for (var k = 0u; k < p.added[0].x; k++) {
    let d = running(k);
    if at < d.code_len && strength(d, t) != 0.0 {
      let row = t * p.inputs;
      var sum = 0.0;
      switch d.method {
        case 0u: { sum = lora_down(d, row, at); }
        case 1u: { sum = loha_down(d, row, at); }
        default: { sum = lokr_down(d, row, at); }
      }
      codes[t * p.added[0].y + c] = sum;
    }
    // Wraps to a large number behind its delta.
    at -= d.code_len;
  }
}
