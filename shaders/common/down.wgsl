@group(0) @binding(4) var<storage, read_write> codes: array<f32>; // [rows, added.y]

// Computes number `c` of the codes of token `t`.
fn down(t: u32, c: u32) {
  for (var k = 0u; k < p.added.x; k++) {
    let d = deltas[k];
    let at = c - d.code;
    if at < d.code_len && strength(d, t) != 0.0 {
      let row = t * p.inputs;
      var sum = 0.0;
      switch d.method {
        case 0u: { sum = lora_down(d, row, at); }
        case 1u: { sum = loha_down(d, row, at); }
        default: { sum = lokr_down(d, row, at); }
      }
      codes[t * p.added.y + c] = sum;
    }
  }
}
