// out[t] = index of the largest number of x[t], the first where several are equal; one workgroup a
// row. The index is exact as an f32 up to 2^24.
struct Argmax {
  rows: u32,
  width: u32,
}

@group(0) @binding(0) var<uniform> p: Argmax;
@group(0) @binding(1) var<storage, read> x: array<f32>;            // [rows, width]
@group(0) @binding(2) var<storage, read_write> result: array<f32>; // [rows]

var<workgroup> best: array<u32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let t = group.x + group.y * groups.x;
  if t >= p.rows {
    return;
  }
  let row = t * p.width;
  var mine = min(lane, p.width - 1u);
  for (var j = lane; j < p.width; j += 64u) {
    if x[row + j] > x[row + mine] {
      mine = j;
    }
  }
  best[lane] = mine;
  workgroupBarrier();
  if lane == 0u {
    for (var k = 1u; k < 64u; k++) {
      let other = best[k];
      let value = x[row + other];
      let top = x[row + mine];
      if value > top || (value == top && other < mine) {
        mine = other;
      }
    }
    result[t] = f32(mine);
  }
}
