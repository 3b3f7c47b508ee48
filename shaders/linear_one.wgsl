// y = W x + bias and the codes of the deltas for one token, or for any number of tokens that are no
// whole fours; an invocation computes one output, or four numbers of a code
@group(0) @binding(0) var<uniform> p: Linear;
@group(0) @binding(6) var<storage, read> x: array<f32>; // [rows, inputs]

alias Tokens = u32;
alias Sums = vec4f;

fn token_len() -> u32 {
  return p.inputs;
}

// Behind the token lie zeros.
fn x_at(token: u32, j: u32) -> vec4f {
  let at = token + 4u * j;
  let rest = p.inputs - 4u * j;
  return vec4f(
    x[at],
    select(0.0, x[at + 1u], rest > 1u),
    select(0.0, x[at + 2u], rest > 2u),
    select(0.0, x[at + 3u], rest > 3u),
  );
}

fn products(rows: mat4x4f, token: vec4f) -> Sums {
  return token * rows;
}

fn any_runs(d: Delta, t: u32) -> bool {
  return strength(d, t) != 0.0;
}

fn write_code(first: u32, step: u32, sums: Sums) {
  for (var r = 0u; r < 4u; r++) {
    codes[first + r * step] = sums[r];
  }
}

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) groups: vec3u) {
  let index = flat_index(id, groups);
  let across = p.outputs + p.added[0].y;
  let t = index / across;
  let i = index % across;
  if t >= p.rows {
    return;
  }
  if i >= p.outputs {
    down(t, i - p.outputs);
    return;
  }
  let row = i * p.stride;
  let token = t * p.inputs;
  var sums = vec4f();
  let whole = p.inputs / (4u * FOURS);
  for (var block = 0u; block < whole; block++) {
    // Tested behind its body: a software GPU would run that once more.
    var part = 0u;
    loop {
      let at = token + 4u * (block * FOURS + part);
      sums += four(row + block, part) * vec4f(x[at], x[at + 1u], x[at + 2u], x[at + 3u]);
      part++;
      if part == FOURS {
        break;
      }
    }
  }
  if whole < p.stride {
    sums += four(row + whole, 0u) * x_at(token, whole);
  }
  write(t, i, sums.x + sums.y + sums.z + sums.w);
}
