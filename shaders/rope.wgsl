// Rotary positions in the halves form, of q, k and v with their deltas: q is rotated in place; k is
// rotated and v copied into the caches. An invocation moves two pairs (d, d + size / 2) of a head.
struct Rope {
  added: array<vec4u, 5>,
  first: u32,     // row of qkv
  rows: u32,
  start: u32,     // position of the first row
  query: u32,     // query heads
  key_value: u32, // key heads, and as many value heads
  size: u32,      // numbers in a head, even
}

@group(0) @binding(0) var<uniform> p: Rope;
@group(0) @binding(5) var<storage, read_write> qkv: array<f32>;    // [.., (query + 2 key_value) size]
@group(0) @binding(6) var<storage, read> table: array<vec2f>;      // [context, size / 2]: cosine, sine
@group(0) @binding(7) var<storage, read_write> keys: array<f32>;   // [context, key_value size]
@group(0) @binding(8) var<storage, read_write> values: array<f32>; // [context, key_value size]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let half_size = p.size / 2u;
  let heads = p.query + 2u * p.key_value;
  let across = (heads * half_size + 1u) / 2u;
  let t = index / across;
  if t >= p.rows {
    return;
  }
  let pair = vec2u(0u, across) + index % across;
  let i = pair / half_size * p.size + pair % half_size;
  let added = up(p.first + t, vec4u(i, i + half_size));
  for (var k = 0u; k < 2u; k++) {
    let head = pair[k] / half_size;
    let d = pair[k] % half_size;
    let from_at = (p.first + t) * heads * p.size + i[k];
    let a = qkv[from_at] + added[k];
    let b = qkv[from_at + half_size] + added[k + 2u];
    let turn = table[(p.start + t) * half_size + d];
    let turned = vec2f(a * turn.x - b * turn.y, b * turn.x + a * turn.y);
    if head < p.query {
      qkv[from_at] = turned.x;
      qkv[from_at + half_size] = turned.y;
    } else if head < p.query + p.key_value {
      let to_at = ((p.start + t) * p.key_value + head - p.query) * p.size + d;
      keys[to_at] = turned.x;
      keys[to_at + half_size] = turned.y;
    } else if head < heads {
      let to_at = ((p.start + t) * p.key_value + head - p.query - p.key_value) * p.size + d;
      values[to_at] = a;
      values[to_at + half_size] = b;
    }
  }
}
