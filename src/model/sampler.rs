//! From logits to the next token.

use rand_core::{Rng, SeedableRng};
use rand_pcg::Pcg32;

use crate::{Error, Result, tensor::check_finite};

/// How to choose the next token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampling {
    /// 0 takes the most likely token; 1 samples the model's own distribution.
    pub temperature: f32,
    /// Only the `k` most likely tokens; 0 is no limit.
    pub top_k: usize,
    /// Only the most likely tokens that together reach this probability; 1 is no limit.
    pub top_p: f32,
    /// The same seed gives the same text.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Self { temperature: 0.0, top_k: 0, top_p: 1.0, seed: 0 }
    }
}

/// A seeded sampler.
pub struct Sampler {
    sampling: Sampling,
    random: Pcg32,
}

impl Sampler {
    /// Checks the ranges.
    pub fn new(sampling: Sampling) -> Result<Self> {
        let Sampling { temperature, top_p, .. } = sampling;
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(Error::argument("temperature", "a number from 0 up", temperature));
        }
        if !(top_p > 0.0 && top_p <= 1.0) {
            return Err(Error::argument("topP", "a number above 0, at most 1", top_p));
        }
        Ok(Self { sampling, random: Pcg32::seed_from_u64(sampling.seed) })
    }

    /// Whether [`Sampler::pick`] only takes the most likely token.
    #[must_use]
    pub fn is_greedy(&self) -> bool {
        self.sampling.temperature == 0.0
    }

    /// The next token from logits `[vocabulary]`. Fails where they are not finite.
    pub fn pick(&mut self, logits: &[f32]) -> Result<u32> {
        check_finite("logits", logits)?;
        let Some(best) = first_of_largest(logits) else {
            return Err(Error::argument("logits", "at least one number", "none"));
        };
        if self.is_greedy() {
            return Ok(best);
        }
        // Most likely first; ties by index, so that the order is the same everywhere. Keys have the
        // logit above the index: whole numbers are sorted faster.
        let key = |(id, logit): (usize, &f32)| u64::from(!ordered(*logit)) << 32 | id as u64;
        let mut order: Vec<u64> = logits.iter().enumerate().map(key).collect();
        order.sort_unstable();
        let mut order: Vec<u32> = order.into_iter().map(|key| key as u32).collect();
        let logit = |id: u32| f64::from(logits[id as usize]);
        if self.sampling.top_k > 0 {
            order.truncate(self.sampling.top_k);
        }
        let temperature = f64::from(self.sampling.temperature);
        let mut shares: Vec<f64> =
            order.iter().map(|&id| ((logit(id) - logit(best)) / temperature).exp()).collect();
        let total: f64 = shares.iter().sum();
        let limit = f64::from(self.sampling.top_p) * total;
        let mut kept = 0.0;
        let reach = shares.iter().position(|share| {
            kept += share;
            kept >= limit
        });
        if let Some(last) = reach.filter(|_| self.sampling.top_p < 1.0) {
            shares.truncate(last + 1);
        }
        // 53 random bits: every f64 in [0, 1) that is a multiple of 2^-53.
        let uniform = (self.random.next_u64() >> 11) as f64 / (1u64 << 53) as f64;
        let mut left = uniform * shares.iter().sum::<f64>();
        for (&id, share) in order.iter().zip(&shares) {
            left -= share;
            if left < 0.0 {
                return Ok(id);
            }
        }
        // Rounding may leave a crumb; it belongs to the last one.
        Ok(order[shares.len() - 1])
    }
}

/// A whole number for each f32, in their order.
fn ordered(v: f32) -> u32 {
    // Of negative numbers, the bits have the opposite order. Both zeros are one logit.
    let bits = (v + 0.0).to_bits();
    if bits >> 31 == 0 { bits | 1 << 31 } else { !bits }
}

/// The index of the largest logit, the first where several are equal.
fn first_of_largest(logits: &[f32]) -> Option<u32> {
    let later_is_larger =
        |best: usize, at: usize| if logits[at] > logits[best] { at } else { best };
    (0..logits.len()).reduce(later_is_larger).map(|at| at as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(sampling: Sampling) -> Sampler {
        Sampler::new(sampling).unwrap()
    }

    #[test]
    fn greedy_takes_the_first_of_equal_logits() {
        let mut greedy = sampler(Sampling::default());
        assert_eq!(greedy.pick(&[0.0, 3.0, 3.0, -1.0]).unwrap(), 1);
    }

    #[test]
    fn the_order_of_numbers_is_that_of_their_keys() {
        let numbers = [f32::MIN, -2.5, -2.0, -1e-40, 0.0, 1e-40, 1.0, 1.0000001, f32::MAX];
        assert!(numbers.windows(2).all(|pair| ordered(pair[0]) < ordered(pair[1])));
        assert_eq!(ordered(-0.0), ordered(0.0));
    }

    #[test]
    fn frequencies_follow_the_distribution() {
        let mut sampler = sampler(Sampling { temperature: 1.0, ..Default::default() });
        let logits = [0.0f32, 1.0, 2.0];
        let total: f32 = logits.iter().map(|v| v.exp()).sum();
        let mut counts = [0.0f32; 3];
        for _ in 0..20_000 {
            counts[sampler.pick(&logits).unwrap() as usize] += 1.0 / 20_000.0;
        }
        for (count, logit) in counts.iter().zip(logits) {
            assert!((count - logit.exp() / total).abs() < 0.015, "{counts:?}");
        }
    }

    #[test]
    fn top_k_and_top_p_cut_the_tail() {
        let logits = [0.0, 5.0, 4.0, 1.0];
        let mut two = sampler(Sampling { temperature: 5.0, top_k: 2, ..Default::default() });
        let mut nucleus = sampler(Sampling { temperature: 1.0, top_p: 0.7, ..Default::default() });
        for _ in 0..500 {
            assert!([1, 2].contains(&two.pick(&logits).unwrap()));
            assert_eq!(nucleus.pick(&logits).unwrap(), 1);
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens() {
        let run = |seed| {
            let mut sampler = sampler(Sampling { temperature: 1.0, seed, ..Default::default() });
            (0..50).map(|_| sampler.pick(&[0.0; 40]).unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(run(3), run(3));
        assert_ne!(run(3), run(4));
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        for (temperature, top_p) in [(-1.0, 1.0), (f32::NAN, 1.0), (1.0, 0.0), (1.0, 1.5)] {
            let sampling = Sampling { temperature, top_p, ..Default::default() };
            assert_eq!(Sampler::new(sampling).err().unwrap().code(), "BadArgument");
        }
        let error = sampler(Sampling::default()).pick(&[0.0, f32::NAN]).unwrap_err();
        assert_eq!(error.code(), "NotFinite");
    }
}
