//! LoHa: `y[t, i] += scale * w1_a[i]^T Z[t] w2_a[i]`.

use std::array::from_fn;

use super::{
    Target,
    dot::Rows,
    factors::Loha,
    loha_down::SEVERAL,
    strips::{STRIP, Strips},
};
use crate::tensor::{F4, LANES};

/// Vectors of outputs whose sums stay in registers.
const WIDE: usize = 4;

/// `z` `[rows, r, r]`, `y` `[rows, target.width]`.
pub(super) fn loha_up(f: &Loha, z: &[f32], target: Target, y: &mut [f32]) {
    let (rank, outputs) = (f.w1_a.rows(), f.w1_a.cols());
    if z.len() >= SEVERAL * rank * rank {
        let products = products(f);
        let b = Strips { eights: &products, rows: rank * rank };
        let z = Rows { numbers: z, stride: rank * rank };
        let shape = [outputs, target.width];
        return b.add_to(&mut y[target.first_row..], shape, target.scale, z);
    }
    for (z, y) in z.chunks_exact(rank * rank).zip(y.chunks_exact_mut(target.width)) {
        let y = &mut y[target.first_row..][..outputs];
        let (wide, rest) = y.as_chunks_mut::<{ WIDE * LANES }>();
        for (i, y) in wide.iter_mut().enumerate() {
            let columns = i * WIDE * LANES;
            let vectors = |row: &[f32]| -> [F4; WIDE] {
                let row = row[columns..][..WIDE * LANES].as_chunks().0;
                from_fn(|n| F4::from_array(row[n]))
            };
            let mut sums = [F4::splat(0.0); WIDE];
            for (a, z) in z.chunks_exact(rank).enumerate() {
                let mut mixed = [F4::splat(0.0); WIDE];
                for (b, z) in z.iter().enumerate() {
                    let (z, right) = (F4::splat(*z), vectors(f.w2_a.row(b)));
                    mixed = from_fn(|n| mixed[n].add_product(z, right[n]));
                }
                let left = vectors(f.w1_a.row(a));
                sums = from_fn(|n| sums[n].add_product(left[n], mixed[n]));
            }
            for (y, sum) in y.as_chunks_mut().0.iter_mut().zip(sums) {
                *y = F4::from_array(*y).add_product(F4::splat(target.scale), sum).to_array();
            }
        }
        let first = wide.len() * WIDE * LANES;
        for (i, y) in (first..).zip(rest) {
            let mixed =
                |a: usize| -> f32 { (0..rank).map(|b| z[a * rank + b] * f.w2_a.row(b)[i]).sum() };
            *y += target.scale * (0..rank).map(|a| f.w1_a.row(a)[i] * mixed(a)).sum::<f32>();
        }
    }
}

/// Every pair of columns of `w1_a` and `w2_a`, multiplied: `[r^2, out]` by strips.
fn products(f: &Loha) -> Vec<[f32; STRIP]> {
    let (rank, outputs) = (f.w1_a.rows(), f.w1_a.cols());
    let mut eights = Vec::with_capacity(outputs.div_ceil(STRIP) * rank * rank);
    for first in (0..outputs).step_by(STRIP) {
        for ab in 0..rank * rank {
            let (a, b) = (&f.w1_a.row(ab / rank)[first..], &f.w2_a.row(ab % rank)[first..]);
            let mut eight = [0.0; STRIP];
            for ((out, a), b) in eight.iter_mut().zip(a).zip(b) {
                *out = a * b;
            }
            eights.push(eight);
        }
    }
    eights
}
