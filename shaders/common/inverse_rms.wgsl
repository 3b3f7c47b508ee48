// What the norms share, a workgroup of 64 lanes for each.
var<workgroup> parts: array<f32, 64>;

// 1 / sqrt(mean of squares + epsilon) of `width` numbers, for all lanes; `part` is the sum of the
// squares that a lane has seen. One barrier, then every lane adds all: a tree of barriers is slower
// on software GPUs.
fn inverse_rms(lane: u32, part: f32, width: u32) -> f32 {
  parts[lane] = part;
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k < 64u; k++) {
    sum += parts[k];
  }
  return inverseSqrt(sum / f32(width) + p.epsilon);
}
