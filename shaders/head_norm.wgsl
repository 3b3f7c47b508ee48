// Root mean square norm of every query head and every key head, in place, with their deltas; value
// heads only take theirs; one workgroup a head
struct HeadNorm {
  added: array<vec4u, 5>,
  rows: u32,
  query: u32,     // query heads
  key_value: u32, // key heads, and as many value heads
  size: u32,      // numbers in a head
  epsilon: f32,
}

@group(0) @binding(0) var<uniform> p: HeadNorm;
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>; // [rows, (query + 2 key_value) size]
@group(0) @binding(6) var<storage, read> weight: array<f32>;    // [2, size]: queries, keys

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  let heads = p.query + 2u * p.key_value;
  if index >= p.rows * heads {
    return;
  }
  let t = index / heads;
  let head = index % heads;
  let at = index * p.size;
  let w = select(p.size, 0u, head < p.query);
  var sum = 0.0;
  // Each lane reads again only what it alone has written.
  for (var four = lane; four < fours(p.size); four += 64u) {
    let j = spread(four, p.size);
    let added = up(t, head * p.size + j);
    for (var k = 0u; k < 4u; k++) {
      if j[k] < p.size {
        let v = qkv[at + j[k]] + added[k];
        qkv[at + j[k]] = v;
        sum += v * v;
      }
    }
  }
  let inverse = inverse_rms(lane, sum, p.size);
  if head >= p.query + p.key_value {
    return;
  }
  for (var four = lane; four < fours(p.size); four += 64u) {
    let j = spread(four, p.size);
    for (var k = 0u; k < 4u; k++) {
      if j[k] < p.size {
        qkv[at + j[k]] = qkv[at + j[k]] * inverse * weight[w + j[k]];
      }
    }
  }
}
