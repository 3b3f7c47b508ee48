//! Which way to run adapters: what each would take, by what a few known products took on this
//! device.
//!
//! A product with a weight takes a fixed time for the call and a time for each multiply-add, by the
//! weight's dtype and the number of tokens; a delta beside it a time for each of its own, by its
//! method. All of these are measured once, with [`Probe::source`]; between the numbers of tokens
//! that are measured, times are taken to lie on straight lines.

use super::product::Source;
use crate::{
    Result,
    adapter::{Delta, Factors, KronFactor, Loha, Lokr, Lora},
    format::{gguf::GgmlType, numbers::from_le_bytes},
    tensor::{DType, Matrix, Tensor},
};

/// A way to run a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// The base alone, without adapters.
    Base,
    /// `W x`, and beside it `up(down(x))` of every delta.
    Structured,
    /// `(W + dW) x`: the sum in F32, in memory of its own.
    Merged,
}

impl Form {
    /// All of them, in the order in which times come.
    pub const ALL: [Self; 3] = [Self::Base, Self::Structured, Self::Merged];
}

/// Numbers of tokens at which a device is measured.
pub const ROWS: [usize; 3] = [1, 16, 128];

/// A share of the time that merging must save: to be worth its memory, and as estimates are no
/// more exact than that.
const WORTH: f64 = 0.08;

/// Shapes `[out, in]` of the weights that are measured.
const CALL: [usize; 2] = [4, 32];
const WEIGHT: [usize; 2] = [512, 1024];
const DELTA: [usize; 2] = [256, 256];

/// So many deltas of the usual rank, whose time stands out from that of the weight.
const DELTAS: usize = 4;
const RANK: usize = 8;

/// A product that is measured once on a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// A call: the time of [`Form::Base`].
    Call,
    /// A method's `down` and `up`: what [`Form::Structured`] takes more than [`Form::Base`].
    Lora,
    /// As [`Probe::Lora`].
    Loha,
    /// As [`Probe::Lora`].
    Lokr,
    /// The weight: the time of [`Form::Base`].
    Weight(DType),
}

impl Probe {
    /// All of them, in the order in which [`Costs`] has their times.
    pub const ALL: [Self; 9] = [
        Self::Call,
        Self::Lora,
        Self::Loha,
        Self::Lokr,
        Self::Weight(DType::F32),
        Self::Weight(DType::F16),
        Self::Weight(DType::BF16),
        Self::Weight(DType::Q8_0),
        Self::Weight(DType::Q4_1),
    ];

    /// Its weight and deltas. Times do not depend on the numbers.
    pub fn source(self) -> Result<Source> {
        let (shape, dtype) = match self {
            Self::Call => (CALL, DType::F32),
            Self::Weight(dtype) => (WEIGHT, dtype),
            _ => (DELTA, DType::F32),
        };
        let (numbers, bytes) = GgmlType::from(dtype).block();
        let blocks = shape[0] * shape[1] / numbers as usize;
        // In every dtype these bytes are finite numbers.
        let numbers = from_le_bytes(dtype, &vec![0x38; blocks * bytes as usize]);
        let delta = self.factors()?.map(|factors| Delta::new(factors, RANK, 1.0, 1.0));
        let deltas = delta.map_or(Vec::new(), |delta| vec![delta; DELTAS]);
        Ok(Source { weight: Tensor::new(shape.to_vec(), numbers)?, deltas })
    }

    fn factors(self) -> Result<Option<Factors>> {
        let [out, inputs] = DELTA;
        let matrix = |rows, cols| Matrix::from_fn(rows, cols, |_, _| 0.01);
        let (tall, wide) = (|| matrix(out, RANK), || matrix(RANK, inputs));
        let full = || KronFactor::Full(matrix(out.isqrt(), inputs.isqrt()));
        Ok(Some(match self {
            Self::Lora => Factors::Lora(Lora::new(wide(), tall())?),
            Self::Loha => Factors::Loha(Loha::new(tall(), wide(), tall(), wide())?),
            Self::Lokr => Factors::Lokr(Lokr::new(full(), full())?),
            Self::Call | Self::Weight(_) => return Ok(None),
        }))
    }

    /// Multiply-adds for one token.
    fn work(self) -> Result<usize> {
        Ok(match self {
            Self::Call => 0,
            Self::Weight(_) => WEIGHT[0] * WEIGHT[1],
            _ => self.factors()?.map_or(0, |factors| DELTAS * factors.method().work()),
        })
    }

    /// Its place in [`Probe::ALL`].
    #[must_use]
    pub fn index(self) -> usize {
        Self::ALL.iter().position(|probe| *probe == self).unwrap_or_default()
    }
}

/// The work of one delta for one token.
#[derive(Debug, Clone, Copy)]
pub(super) struct Work {
    probe: Probe,
    /// Multiply-adds.
    work: usize,
}

impl Work {
    pub fn of(delta: &Delta) -> Self {
        let probe = match &delta.factors {
            Factors::Lora(_) => Probe::Lora,
            Factors::Loha(_) => Probe::Loha,
            Factors::Lokr(_) => Probe::Lokr,
        };
        Self { probe, work: delta.method().work() }
    }
}

/// What a device was measured to take.
#[derive(Debug, Clone)]
pub struct Costs {
    /// Milliseconds of a call.
    call: f64,
    /// Milliseconds of one multiply-add for each token of [`ROWS`], of each of [`Probe::ALL`].
    each: Vec<[f64; 3]>,
}

impl Costs {
    /// From milliseconds of every probe at every number of tokens of [`ROWS`]. NaN is what was not
    /// measured, and so is every time that depends on it.
    pub fn new(times: &[f64]) -> Result<Self> {
        let call = times.first().copied().unwrap_or(f64::NAN);
        let each = Probe::ALL.iter().zip(times.as_chunks().0).map(|(probe, times)| {
            let work = probe.work()? as f64;
            // Not `max`, which would make a number of NaN.
            Ok(times.map(|ms: f64| if ms < call { 0.0 } else { (ms - call) / work }))
        });
        let each: Vec<_> = each.collect::<Result<_>>()?;
        Ok(Self { call, each })
    }

    /// Milliseconds of `work` multiply-adds for each of so many tokens.
    fn time(&self, probe: Probe, work: usize, rows: usize) -> f64 {
        let each = self.each.get(probe.index()).copied().unwrap_or([f64::NAN; 3]);
        let at = if rows < ROWS[1] { 0 } else { 1 };
        let [low, high] = [ROWS[at], ROWS[at + 1]];
        // Beyond the last, times grow with the tokens.
        let share = (rows.min(high) - low) as f64 / (high - low) as f64;
        let beyond = rows.max(high) as f64 / high as f64;
        let each = if rows > high {
            each[at + 1] * beyond
        } else {
            each[at] + share * (each[at + 1] - each[at])
        };
        each * work as f64
    }

    /// The times of all forms for a weight `[out, in]` of this dtype with these deltas.
    pub(super) fn plan(
        &self,
        dtype: DType,
        [outputs, inputs]: [usize; 2],
        deltas: &[Work],
        rows: usize,
    ) -> Plan {
        let work = outputs * inputs;
        let product = |dtype| self.call + self.time(Probe::Weight(dtype), work, rows);
        let base = product(dtype);
        let beside: f64 = deltas.iter().map(|d| self.time(d.probe, d.work, rows)).sum();
        let times = [base, base + beside, product(DType::F32)];
        Plan { times, base: Probe::Weight(dtype), bytes: 4.0 * work as f64 }
    }

    /// Milliseconds of a call alone.
    pub(super) fn call(&self) -> f64 {
        self.call
    }
}

/// What the ways to run a product would take, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Of each of [`Form::ALL`].
    pub times: [f64; 3],
    /// How the base is stored: a [`Probe::Weight`].
    pub base: Probe,
    /// Bytes of the merged weight.
    pub bytes: f64,
}

impl Plan {
    /// How the deltas had best run: merged where that saves more than 8 % of the time, as it
    /// takes memory.
    #[must_use]
    pub fn choice(&self) -> Form {
        let [_, structured, merged] = self.times;
        if merged < structured * (1.0 - WORTH) { Form::Merged } else { Form::Structured }
    }
}
