// Root mean square norm of every query head and every key head, in place; one workgroup a head
struct HeadNorm {
  rows: u32,
  query: u32,     // query heads
  key_value: u32, // key heads, and as many value heads
  size: u32,      // numbers in a head
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: HeadNorm;
@group(0) @binding(1) var<storage, read_write> qkv: array<f32>; // [rows, (query + 2 key_value) size]
@group(0) @binding(2) var<storage, read> weight: array<f32>;    // [2, size]: queries, keys

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  let normed = p.query + p.key_value;
  if index >= p.rows * normed {
    return;
  }
  let t = index / normed;
  let head = index % normed;
  let at = (t * (normed + p.key_value) + head) * p.size;
  let w = select(p.size, 0u, head < p.query);
  var sum = 0.0;
  for (var j = lane; j < p.size; j += 64u) {
    sum += qkv[at + j] * qkv[at + j];
  }
  let mean = sum_of_lanes(lane, sum) / f32(p.size);
  let inverse = inverseSqrt(mean + p.epsilon);
  // Each lane writes only what it alone has read.
  for (var j = lane; j < p.size; j += 64u) {
    qkv[at + j] = qkv[at + j] * inverse * weight[w + j];
  }
}
