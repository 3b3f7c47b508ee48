//! `y[t] = W x[t]` for a quantised `W`, in integers: the 32 numbers of `x` that meet a block become
//! 16-bit ones with a scale of their own. That rounds them by less than 2^-16 of the largest, and
//! one instruction then multiplies eight numbers and adds them in pairs.

use std::{array::from_fn, hint::black_box};

use super::packed::{Pair, ROWS, Tile};
use crate::tensor::{BLOCK, F4, I4, I8};

/// 32 numbers of so many tokens.
struct Inputs<const TOKENS: usize> {
    /// Pairs of 16-bit numbers: one instruction multiplies a pair with four rows of `W`.
    pairs: [[[i16; 2]; TOKENS]; BLOCK / 2],
    /// Scale of each token.
    scales: [f32; TOKENS],
    /// Sum over the 32 numbers: what the minima multiply.
    totals: [f32; TOKENS],
}

/// `x` `[rows, in]`, `y` `[rows, out]`. The integers of `W` are unpacked once for up to four tokens.
pub(super) fn product<P: Pair>(
    weight: &[Tile<P>],
    inputs: usize,
    outputs: usize,
    mut x: &[f32],
    mut y: &mut [f32],
) {
    while !x.is_empty() {
        let tokens = match x.len() / inputs {
            1 => 1,
            2 | 3 => 2,
            _ => 4,
        };
        let (these, rest) = x.split_at(tokens * inputs);
        let (out, y_rest) = y.split_at_mut(tokens * outputs);
        match tokens {
            1 => rows::<P, 1, 4, 4>(weight, inputs, outputs, these, out),
            2 => rows::<P, 2, 2, 2>(weight, inputs, outputs, these, out),
            _ => rows::<P, 4, 1, 1>(weight, inputs, outputs, these, out),
        }
        (x, y) = (rest, y_rest);
    }
}

/// `PAIRS` of columns are in one round of the innermost loop. `W` is read in `PLACES` in turn: a
/// processor that fetches ahead of what is read does so for each of them.
fn rows<P: Pair, const TOKENS: usize, const PAIRS: usize, const PLACES: usize>(
    weight: &[Tile<P>],
    inputs: usize,
    outputs: usize,
    x: &[f32],
    y: &mut [f32],
) {
    let x = quantise::<TOKENS>(x, inputs);
    // A number that the compiler does not know: it would unroll the loop, move the sums of each
    // token together, and run out of registers. The more tokens, the fewer pairs leave room.
    let rounds = black_box(BLOCK / 2 / PAIRS);
    let all = outputs.div_ceil(ROWS);
    let steps = all.div_ceil(PLACES);
    for step in 0..steps {
        // Behind the last eight rows, these are computed again.
        let places: [_; PLACES] = from_fn(|place| (place * steps + step).min(all - 1));
        let tiles = places.map(|i| &weight[i * x.len()..][..x.len()]);
        for (i, sums) in places.into_iter().zip(products::<P, _, PAIRS, _>(tiles, &x, rounds)) {
            for (sums, y) in sums.into_iter().zip(y.chunks_exact_mut(outputs)) {
                let y = &mut y[i * ROWS..];
                let sums: [f32; ROWS] = bytemuck::cast(sums.map(F4::to_array));
                match y.first_chunk_mut() {
                    Some(y) => *y = sums,
                    None => y.copy_from_slice(&sums[..y.len()]),
                }
            }
        }
    }
}

/// The products of eight rows in each place with each token.
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formula")]
#[inline(always)]
fn products<P: Pair, const TOKENS: usize, const PAIRS: usize, const PLACES: usize>(
    weights: [&[Tile<P>]; PLACES],
    x: &[Inputs<TOKENS>],
    rounds: usize,
) -> [[[F4; 2]; TOKENS]; PLACES] {
    let mut sums = [[[F4::splat(0.0); 2]; TOKENS]; PLACES];
    for (block, x) in x.iter().enumerate() {
        for place in 0..PLACES {
            let w = &weights[place][block];
            let products = tile::<P, TOKENS, PAIRS>(w, x, rounds);
            for half in 0..2 {
                let [d, m] = F4::halves(w.scales[half]);
                for t in 0..TOKENS {
                    let scale = F4::splat(x.scales[t]).times(d);
                    let sum = &mut sums[place][t][half];
                    *sum = sum
                        .add_product(scale, products[t][half].to_f4())
                        .add_product(m, F4::splat(x.totals[t]));
                }
            }
        }
    }
    sums
}

/// The products of the integers of eight rows with those of each token.
#[allow(clippy::needless_range_loop, reason = "the indices are those of the formula")]
#[inline(always)]
fn tile<P: Pair, const TOKENS: usize, const PAIRS: usize>(
    w: &Tile<P>,
    x: &Inputs<TOKENS>,
    rounds: usize,
) -> [[I4; 2]; TOKENS] {
    let mut products = [[I4::zero(); 2]; TOKENS];
    let (w_pairs, x_pairs) = (w.pairs.as_chunks::<PAIRS>().0, x.pairs.as_chunks::<PAIRS>().0);
    for (q, x) in w_pairs.iter().zip(x_pairs).take(rounds) {
        for k in 0..PAIRS {
            let q = q[k].factors();
            for t in 0..TOKENS {
                let x = I8::pairs(x[k][t]);
                for half in 0..2 {
                    products[t][half] = products[t][half].add_products(q[half], x);
                }
            }
        }
    }
    products.map(P::sums)
}

/// Blocks of `x` `[TOKENS, inputs]`.
fn quantise<const TOKENS: usize>(x: &[f32], inputs: usize) -> Vec<Inputs<TOKENS>> {
    let block = |b: usize| {
        let mut block = Inputs {
            pairs: [[[0; 2]; TOKENS]; BLOCK / 2],
            scales: [0.0; TOKENS],
            totals: [0.0; TOKENS],
        };
        for t in 0..TOKENS {
            let x = &x[t * inputs + b * BLOCK..][..BLOCK];
            // The bits of magnitudes have their order, and those of NaN are the largest.
            let largest = x.iter().fold(0, |top: u32, v| top.max(v.abs().to_bits()));
            let largest = f32::from_bits(largest);
            let scale = largest / 32767.0;
            let inverse = if largest > 0.0 { 32767.0 / largest } else { 0.0 };
            // Far above the numbers, f32 has only whole ones: the sum is rounded to them, and its
            // lower bits are the integer.
            let rounded = |v: f32| (v * inverse + 12_582_912.0).to_bits() as i16;
            let q: [i16; BLOCK] = from_fn(|j| rounded(x[j]));
            for (pairs, q) in block.pairs.iter_mut().zip(q.as_chunks::<2>().0) {
                pairs[t] = *q;
            }
            let total: i32 = q.iter().map(|q| i32::from(*q)).sum();
            block.scales[t] = scale;
            block.totals[t] = scale * total as f32;
        }
        block
    };
    (0..inputs / BLOCK).map(block).collect()
}
