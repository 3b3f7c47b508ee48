// y[t] = W x[t] + bias and the codes of the deltas, for several tokens of whole fours; an invocation
// computes four outputs, or four numbers of a code, of four tokens, so that what it reads once serves
// four products
@group(0) @binding(0) var<uniform> p: Linear;
@group(0) @binding(6) var<storage, read> x: array<vec4f>; // [rows, inputs / 4]

alias Tokens = vec4u;
alias Sums = mat4x4f; // a column for each of four rows of a matrix: its product with each token

fn token_len() -> u32 {
  return p.inputs / 4u;
}

fn x_at(token: vec4u, j: u32) -> mat4x4f {
  return mat4x4f(x[token.x + j], x[token.y + j], x[token.z + j], x[token.w + j]);
}

fn products(rows: mat4x4f, tokens: mat4x4f) -> Sums {
  return Sums(rows[0] * tokens, rows[1] * tokens, rows[2] * tokens, rows[3] * tokens);
}

fn any_runs(d: Delta, t: vec4u) -> bool {
  return any(vec4f(strength(d, t.x), strength(d, t.y), strength(d, t.z), strength(d, t.w)) != vec4f());
}

fn write_code(first: vec4u, step: u32, sums: Sums) {
  for (var k = 0u; k < 4u; k++) {
    for (var r = 0u; r < 4u; r++) {
      codes[first[k] + r * step] = sums[r][k];
    }
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let tiles = fours(p.outputs);
  let across = tiles + p.added[0].y;
  let height = fours(p.rows);
  if index >= across * height {
    return;
  }
  // As many neighbours as can be without a rest, at most four, share rows of W.
  let side = min(height & (~height + 1u), 4u);
  let tile = index / side % across;
  // The last tile may be short: it computes its last output, and its last token, again.
  let four_of = vec4u(0u, 1u, 2u, 3u);
  let t = min(4u * (index / (side * across) * side + index % side) + four_of, vec4u(p.rows - 1u));
  if tile >= tiles {
    down(t, tile - tiles);
    return;
  }
  let i = min(4u * tile + four_of, vec4u(p.outputs - 1u));
  let row = i * p.stride;
  let token = t * token_len();
  var sums = Sums();
  for (var j = 0u; j < token_len(); j++) {
    let at = row + j / FOURS;
    let part = j % FOURS;
    let rows = mat4x4f(four(at.x, part), four(at.y, part), four(at.z, part), four(at.w, part));
    sums += products(rows, x_at(token, j));
  }
  for (var r = 0u; r < 4u; r++) {
    for (var k = 0u; k < 4u; k++) {
      write(t[k], i[r], sums[r][k]);
    }
  }
}
