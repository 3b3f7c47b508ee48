// What the kernels of every method know of a delta. Mirrored by `Delta` in src/gpu/params.rs.
struct Delta {
  rows: u32,        // tokens
  first_token: u32, // the first of them in x and in y
  inputs: u32,      // `in` of the weight
  outputs: u32,     // `out` of this delta
  rank: u32,        // r; for LoKr the rank of w2, 0 where w2 is whole
  w1_rows: u32,     // LoKr: ol
  w1_cols: u32,     // LoKr: im
  w2_rows: u32,     // LoKr: ok
  w2_cols: u32,     // LoKr: in_n
  first_row: u32,   // first output row of the weight that the delta changes
  y_width: u32,     // numbers in a row of the target
  scale: f32,       // strength * scale
}
