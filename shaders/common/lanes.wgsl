// Sums over the 64 lanes of a workgroup.
var<workgroup> parts: array<f32, 64>;

// The sum of one number of each lane, for all of them. One barrier, then every lane adds all: a tree
// of barriers is slower on software GPUs.
fn sum_of_lanes(lane: u32, part: f32) -> f32 {
  parts[lane] = part;
  workgroupBarrier();
  var sum = 0.0;
  for (var k = 0u; k < 64u; k++) {
    sum += parts[k];
  }
  return sum;
}
