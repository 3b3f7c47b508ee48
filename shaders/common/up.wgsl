@group(0) @binding(4) var<storage, read> codes: array<vec4f>; // [rows, added.y]

// What the deltas add to four outputs of token `t`: a row on the left times the code times a row on
// the right. Every method says where they lie, and one loop serves all: a software GPU would run the
// loops of each. The loops are tested behind their bodies, as it would run these once more.
fn up(t: u32, i: vec4u) -> vec4f {
  var sums = vec4f();
  if p.added[0].x == 0u {
    return sums;
  }
  var z = t * p.added[0].y;
  var k = 0u;
  loop {
    let d = running(k);
    let here = i - d.first_row < vec4u(d.outputs);
    let weight_of = strength(d, t) * d.scale;
    if any(here) && weight_of != 0.0 {
      let row = select(vec4u(), i - d.first_row, here);
      var parts = vec4f();
      if p.added[0].y != 0u {
        parts = product(d, z, row);
      }
      if d.bias != NONE {
        let bias = d.bias + row;
        parts += vec4f(factor(bias.x), factor(bias.y), factor(bias.z), factor(bias.w));
      }
      sums += weight_of * select(vec4f(), parts, here);
    }
    z += d.code_len;
    k++;
    if k >= p.added[0].x {
      break;
    }
  }
  return sums;
}

fn product(d: Delta, z: u32, i: vec4u) -> vec4f {
  let first = d.factors + d.down_len;
  // Of each output: its row on the left, its row on the right, and a row of the code.
  var at = array<vec4u, 3>();
  switch d.method {
    case 0u: { at = lora_up(d, first, i); }
    case 1u: { at = loha_up(d, first, i); }
    default: { at = lokr_up(d, first, i); }
  }
  var sums = vec4f();
  var left = at[0];
  var code = z + at[2];
  let left_end = left.x + d.left_len;
  let right_end = at[1].x + d.right_len;
  loop {
    // A column for each output: four rows of the code times its row on the right.
    var columns = mat4x4f();
    var right = at[1];
    loop {
      let rows = mat4x4f(codes[code.x], codes[code.y], codes[code.z], codes[code.w]);
      columns += mat4x4f(
        factors[right.x] * rows,
        factors[right.y] * rows,
        factors[right.z] * rows,
        factors[right.w] * rows,
      );
      code += vec4u(1u);
      right += vec4u(1u);
      if right.x >= right_end {
        break;
      }
    }
    if d.left_len == 0u {
      sums = vec4f(columns[0].x, columns[1].y, columns[2].z, columns[3].w);
    } else {
      sums += vec4f(
        dot(factors[left.x], columns[0]),
        dot(factors[left.y], columns[1]),
        dot(factors[left.z], columns[2]),
        dot(factors[left.w], columns[3]),
      );
    }
    code += vec4u(3u * d.right_len);
    left += vec4u(1u);
    if left.x >= left_end {
      break;
    }
  }
  return sums;
}

// Four of so many numbers; neighbours have neighbours. Those that are too many are behind the end.
fn spread(at: u32, numbers: u32) -> vec4u {
  return at + fours(numbers) * vec4u(0u, 1u, 2u, 3u);
}
