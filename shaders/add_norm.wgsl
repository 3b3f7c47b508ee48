// x[first + t] += y[first + t] with its deltas, then out[t] is its norm as in rms_norm.wgsl; one
// workgroup a row
struct AddNorm {
  added: array<vec4u, 5>,
  first: u32,
  rows: u32,
  width: u32,
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: AddNorm;
@group(0) @binding(5) var<storage, read_write> x: array<f32>;      // [.., width]
@group(0) @binding(6) var<storage, read> y: array<f32>;            // [.., width]
@group(0) @binding(7) var<storage, read> weight: array<f32>;       // [width]
@group(0) @binding(8) var<storage, read_write> result: array<f32>; // [rows, width]

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
  // Each lane reads again only what it alone has written.
  for (var at = lane; at < fours(p.width); at += 64u) {
    let j = spread(at, p.width);
    let added = up(p.first + t, j);
    for (var k = 0u; k < 4u; k++) {
      if j[k] < p.width {
        let v = x[row + j[k]] + (y[row + j[k]] + added[k]);
        x[row + j[k]] = v;
        sum += v * v;
      }
    }
  }
  let inverse = inverse_rms(lane, sum, p.width);
  for (var at = lane; at < fours(p.width); at += 64u) {
    let j = spread(at, p.width);
    for (var k = 0u; k < 4u; k++) {
      if j[k] < p.width {
        result[t * p.width + j[k]] = x[row + j[k]] * inverse * weight[j[k]];
      }
    }
  }
}
