// What the kernels of every method know of a delta. Mirrored by `Delta` in src/gpu/params.rs.
struct Delta {
  rows: u32,        // tokens; of a merge outputs of the delta
  first: u32,       // the first of them
  inputs: u32,      // `in` of the weight
  outputs: u32,     // `out` of this delta
  rank: u32,        // r; for LoKr the rank of w2, 0 where w2 is whole
  w1_rows: u32,     // LoKr: ol
  w1_cols: u32,     // LoKr: im
  w2_rows: u32,     // LoKr: ok
  w2_cols: u32,     // LoKr: in_n
  first_row: u32,   // output of the weight that the first output of the delta changes; of a merge
                    // row of the target for the first of the merged
  y_width: u32,     // numbers in a row of the target
  scale: f32,       // strength * scale
}
