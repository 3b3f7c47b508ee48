// out[t] = x[first + t] / sqrt(mean(x[first + t]^2) + epsilon) * weight; one workgroup a row
struct RmsNorm {
  first: u32,
  rows: u32,
  width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: RmsNorm;
@group(0) @binding(1) var<storage, read> x: array<f32>;            // [.., width]
@group(0) @binding(2) var<storage, read> weight: array<f32>;       // [width]
@group(0) @binding(3) var<storage, read_write> result: array<f32>; // [rows, width]

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
  let row = (p.first + t) * p.width;
  var sum = 0.0;
  for (var j = lane; j < p.width; j += 64u) {
    sum += x[row + j] * x[row + j];
  }
  let inverse = inverse_rms(lane, sum, p.width);
  for (var j = lane; j < p.width; j += 64u) {
    result[t * p.width + j] = x[row + j] * inverse * weight[j];
  }
}
