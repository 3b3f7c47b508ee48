// Causal attention over the caches with grouped queries: one workgroup for one query head of one
// token. Positions come in blocks of 64: each lane scores one, then each lane gathers up to four
// numbers of the output, with a running maximum so that no exponential overflows.
struct Attention {
  first: u32,     // row of qkv and of the result
  rows: u32,
  start: u32,     // position of the first row
  window: u32,    // positions that a token sees at most, its own among them
  query: u32,     // query heads
  key_value: u32, // key and value heads
  size: u32,      // numbers in a head, at most 256
  scale: f32,     // 1 / sqrt(size)
}

@group(0) @binding(0) var<uniform> p: Attention;
@group(0) @binding(1) var<storage, read> qkv: array<f32>;          // [.., (query + 2 key_value) size]
@group(0) @binding(2) var<storage, read> keys: array<f32>;         // [context, key_value size]
@group(0) @binding(3) var<storage, read> values: array<f32>;       // [context, key_value size]
@group(0) @binding(4) var<storage, read_write> result: array<f32>; // [.., query size]

var<workgroup> scores: array<f32, 64>;

@compute @workgroup_size(64)
fn main(
  @builtin(workgroup_id) group: vec3u,
  @builtin(num_workgroups) groups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let index = group.x + group.y * groups.x;
  if index >= p.rows * p.query {
    return;
  }
  let t = index / p.query;
  let head = index % p.query;
  let length = p.start + t + 1u;
  let width = p.key_value * p.size;
  let column = head / (p.query / p.key_value) * p.size;
  let q = ((p.first + t) * (p.query + 2u * p.key_value) + head) * p.size;
  let to_at = (p.first * p.query + index) * p.size;

  // Finite, since a shader may assume that infinities do not occur.
  var best = -1e30;
  var total = 0.0;
  var gathered = vec4f();
  for (var block = length - min(length, p.window); block < length; block += 64u) {
    let count = min(64u, length - block);
    if lane < count {
      let k = (block + lane) * width + column;
      var score = 0.0;
      for (var d = 0u; d < p.size; d++) {
        score += qkv[q + d] * keys[k + d];
      }
      scores[lane] = score * p.scale;
    }
    workgroupBarrier();
    var top = best;
    for (var j = 0u; j < count; j++) {
      top = max(top, scores[j]);
    }
    let shrink = exp(best - top);
    best = top;
    total *= shrink;
    gathered *= shrink;
    for (var j = 0u; j < count; j++) {
      let share = exp(scores[j] - top);
      total += share;
      let v = (block + j) * width + column;
      for (var k = 0u; k < 4u; k++) {
        if lane + 64u * k < p.size {
          gathered[k] += share * values[v + lane + 64u * k];
        }
      }
    }
    workgroupBarrier();
  }
  for (var k = 0u; k < 4u; k++) {
    if lane + 64u * k < p.size {
      result[to_at + lane + 64u * k] = gathered[k] / total;
    }
  }
}
