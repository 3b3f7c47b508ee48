// LoKr, with i = (u, v): w2_a[v] . (w1 S)[u], or (w1 S)[u, v] for a whole w2
fn lokr_up(d: Delta, z: u32, i: u32) -> f32 {
  let w1 = d.factors + i / d.w2_rows * d.w1_cols;
  let v = i % d.w2_rows;
  let w2_a = d.factors + d.w1_rows * d.w1_cols + d.rank * d.w2_cols + v * d.rank;
  var sum = 0.0;
  for (var c = 0u; c < d.w1_cols; c++) {
    var code = 0.0;
    if d.rank == 0u {
      code = codes[z + c * d.w2_rows + v];
    }
    for (var k = 0u; k < d.rank; k++) {
      code += factors[w2_a + k] * codes[z + c * d.rank + k];
    }
    sum += factors[w1 + c] * code;
  }
  return sum;
}
