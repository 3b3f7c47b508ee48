// Four numbers of a weight row stored as f32. Rows are padded with zeros to whole fours.
alias Weight4 = vec4f;

fn widen(w: Weight4) -> vec4f {
  return w;
}
