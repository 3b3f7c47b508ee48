@group(0) @binding(4) var<storage, read_write> codes: array<f32>; // [rows, 4 added.y]

// Computes four numbers of the codes of `t`, the group `c`.
fn down(t: Tokens, c: u32) {
  var at = c;
  var k = 0u;
  loop {
    let d = running(k);
    if at < d.code_len && any_runs(d, t) {
      let token = t * token_len();
      var sums = Sums();
      var step = 1u;
      switch d.method {
        case 0u: { sums = lora_down(d, token, at); }
        case 1u: { sums = loha_down(d, token, at); }
        default: {
          sums = lokr_down(d, token, at);
          step = 4u * fours(d.w1_cols);
        }
      }
      write_code(4u * (t * p.added[0].y + c) - 3u * (at % step), step, sums);
    }
    // Wraps to a large number behind its delta.
    at -= d.code_len;
    k++;
    if k >= p.added[0].x {
      break;
    }
  }
}
