//! Single files of kohya's trainers, LyCORIS, diffusers, ComfyUI and ai-toolkit: scales come from
//! `.alpha` tensors, module names have prefixes of each program and often `_` for `.`.
//!
//! Sources: LyCORIS `modules/`, `functional/`; sd-scripts `networks/lora.py`; diffusers
//! `loaders/lora_conversion_utils.py`; ComfyUI `comfy/weight_adapter/`.

mod write;

use std::collections::BTreeMap;

use serde_json::Value;
pub use write::{Options, write};

use super::adapter_file::{Sorted, Whole};
use super::group::{Group, Groups};
use super::key::{self, Role};
use super::module::MAX_RANK;
use super::numbers::scalar;
use super::{Conventions, Tensors};
use crate::adapter::{Axis, Delta, Magnitude, Warning};
use crate::{Error, Result};

/// What gives a file without a config its scales.
#[derive(Debug)]
pub(super) struct Rules {
    conventions: Conventions,
    /// Axis of the DoRA magnitudes, as the trainer noted it.
    noted_axis: Option<Axis>,
    format: &'static str,
    /// Alphas and ranks that new diffusers files keep in the header.
    diffusers: Option<Diffusers>,
}

impl Rules {
    pub(super) fn new(tensors: &Tensors<'_>, conventions: &Conventions) -> Result<Self> {
        let metadata = tensors.metadata();
        let args = metadata.get("ss_network_args").and_then(|text| parse_object(text));
        // The trainer's own note; a text in some versions.
        let note = args.as_ref().and_then(|args| args.get("wd_on_output"));
        let noted_axis = match note {
            Some(Value::Bool(true)) => Some(Axis::Out),
            Some(Value::Bool(false)) => Some(Axis::In),
            Some(Value::String(s)) if s.eq_ignore_ascii_case("true") => Some(Axis::Out),
            Some(Value::String(s)) if s.eq_ignore_ascii_case("false") => Some(Axis::In),
            _ => None,
        };
        let diffusers = metadata.get("lora_adapter_metadata").map(|text| Diffusers::parse(text));
        let format = format(tensors);
        Ok(Self {
            conventions: conventions.clone(),
            noted_axis,
            format,
            diffusers: diffusers.transpose()?,
        })
    }

    /// `LyCORIS`, `kohya` or `diffusers`.
    pub(super) fn format(&self) -> &'static str {
        self.format
    }

    /// The delta of one module.
    pub(super) fn delta(&self, group: &Group<'_>) -> Result<Delta> {
        let (factors, layer) = group.factors()?;
        let rank = factors.method().rank();
        if let Some(rank) = rank.filter(|rank| *rank > MAX_RANK) {
            return Err(Error::ShapeMismatch {
                what: format!("module {}", group.module),
                expected: format!("a rank of at most {MAX_RANK}"),
                got: format!("tensors of rank {rank}"),
            });
        }
        let stored = alpha(group)?;
        let (rank, alpha, scale) = match (rank, stored) {
            (Some(rank), Some(alpha)) => (rank, alpha, alpha / rank as f64),
            (Some(rank), None) => self.without_alpha(group, rank),
            // Both factors of a LoKr are whole: LyCORIS forces a scale of 1 and stores an alpha that
            // may be anything (1e10 is common).
            (None, stored) => self.whole(stored),
        };
        let scale = finite(group, "alpha / rank", scale)?;
        let mut delta = Delta::new(factors, rank, finite(group, "alpha", alpha)?, scale);
        delta.layer = layer;
        delta.magnitude = self.magnitude(group, &delta)?;
        let used = delta.method().tensors().len()
            + usize::from(delta.magnitude.is_some())
            + usize::from(group.has(Role::Alpha));
        group.expect_used(used)?;
        Ok(delta)
    }

    /// Rank, alpha and scale of factors without an alpha.
    fn without_alpha(&self, group: &Group<'_>, rank: usize) -> (usize, f64, f64) {
        let noted = self.diffusers.as_ref().and_then(|d| d.alpha(&group.own_name()));
        match noted {
            Some((alpha, rslora)) => {
                let by = if rslora { (rank as f64).sqrt() } else { rank as f64 };
                (rank, alpha, alpha / by)
            }
            None => {
                let alpha = self.conventions.alpha.unwrap_or(rank as f64);
                (rank, alpha, alpha / rank as f64)
            }
        }
    }

    fn whole(&self, stored: Option<f64>) -> (usize, f64, f64) {
        let alpha = stored.unwrap_or(1.0);
        match self.conventions.whole_lokr_rank {
            Some(rank) => (rank, alpha, alpha / rank as f64),
            None => {
                // The rank that the alpha was set to, so that alpha over rank stays 1.
                let whole = alpha.fract() == 0.0 && (1.0..=f64::from(u32::MAX)).contains(&alpha);
                let rank = if whole { alpha as usize } else { 1 };
                (rank, rank as f64, 1.0)
            }
        }
    }

    fn magnitude(&self, group: &Group<'_>, delta: &Delta) -> Result<Option<Magnitude>> {
        let [out, inputs] = delta.method().shape();
        let channels = inputs / delta.kernel_size();
        if let Some((shape, values)) = group.vector(Role::Magnitude)? {
            if shape.iter().product::<usize>() != out {
                let what = format!("module {}: magnitude", group.module);
                return Err(Error::shape(what, &[out], shape));
            }
            return Ok(Some(Magnitude { values, axis: Axis::Out }));
        }
        let Some((shape, values)) = group.vector(Role::DoraScale)? else { return Ok(None) };
        let len: usize = shape.iter().product();
        let axis = match self.axis(shape, out, channels) {
            Reading::One(axis) | Reading::Guess(axis) => axis,
            Reading::None => {
                return Err(Error::ShapeMismatch {
                    what: format!("module {}: dora_scale", group.module),
                    expected: format!("{out} outputs or {channels} inputs"),
                    got: format!("{shape:?}, {len} numbers"),
                });
            }
        };
        Ok(Some(Magnitude { values, axis }))
    }

    /// Which axis a `dora_scale` of that shape has one number for: `[out, 1...]` or `[1, in, 1...]`.
    /// A list, and a layer with one output or input, may be either.
    fn axis(&self, shape: &[usize], out: usize, channels: usize) -> Reading {
        let len: usize = shape.iter().product();
        // A number without dimensions is a list of one.
        let at = |axis: usize| shape.get(axis).copied().filter(|_| shape.len() > 1).unwrap_or(len);
        let fits_out = len == out && at(0) == out;
        let fits_in = len == channels && at(1) == channels;
        match (fits_out, fits_in) {
            (true, false) => Reading::One(Axis::Out),
            (false, true) => Reading::One(Axis::In),
            (false, false) => Reading::None,
            (true, true) => match self.conventions.dora_axis.or(self.noted_axis) {
                Some(axis) => Reading::One(axis),
                None => Reading::Guess(Axis::Out),
            },
        }
    }

    /// What had to be guessed, one warning for each kind: a file has hundreds of modules of a kind.
    pub(super) fn warnings<'a>(
        &self,
        groups: impl Iterator<Item = Group<'a>>,
    ) -> Result<Vec<Warning>> {
        let mut guesses =
            [Guess::NoAlpha, Guess::WholeLokr, Guess::DoraAxis].map(|guess| (guess, Vec::new()));
        for group in groups {
            for (guess, modules) in &mut guesses {
                if self.guesses(*guess, &group)? {
                    modules.push(group.module.to_owned());
                }
            }
        }
        let told = guesses.into_iter().filter_map(|(guess, modules)| {
            let first = modules.first()?;
            let module = if modules.len() == 1 { first.clone() } else { String::new() };
            let count = match modules.len() {
                1 => first.clone(),
                n => format!("{n} modules, the first is {first}"),
            };
            let (code, what) = guess.told();
            Some(Warning { code, module, message: format!("{what} ({count})") })
        });
        Ok(told.collect())
    }

    fn guesses(&self, guess: Guess, group: &Group<'_>) -> Result<bool> {
        let whole = group.has(Role::LokrW1) && group.has(Role::LokrW2);
        Ok(match guess {
            Guess::NoAlpha => {
                let known = self.conventions.alpha.is_some()
                    || self
                        .diffusers
                        .as_ref()
                        .is_some_and(|d| d.alpha(&group.own_name()).is_some());
                !group.has(Role::Alpha) && !whole && !known
            }
            Guess::WholeLokr => {
                whole && group.has(Role::Alpha) && self.conventions.whole_lokr_rank.is_none()
            }
            Guess::DoraAxis => match group.keys.get(&Role::DoraScale) {
                None => false,
                Some(key) => {
                    let (factors, layer) = group.factors()?;
                    let delta = Delta::new(factors, 1, 1.0, 1.0);
                    let delta = Delta { layer, ..delta };
                    let [out, inputs] = delta.method().shape();
                    let (shape, _) = group.tensors.float(&key.name)?;
                    let channels = inputs / delta.kernel_size();
                    matches!(self.axis(shape, out, channels), Reading::Guess(_))
                }
            },
        })
    }
}

/// What the axis of a magnitude may be.
enum Reading {
    One(Axis),
    Guess(Axis),
    None,
}

/// What a file leaves open.
#[derive(Clone, Copy)]
enum Guess {
    NoAlpha,
    WholeLokr,
    DoraAxis,
}

impl Guess {
    /// The code of the warning, and both readings.
    fn told(self) -> (&'static str, &'static str) {
        match self {
            Self::NoAlpha => (
                "NoAlpha",
                "no alpha: read as alpha = rank, a scale of 1, as kohya's tools and ComfyUI do; the \
                 trainer may have used another, which the option `alpha` sets",
            ),
            Self::WholeLokr => (
                "WholeLokr",
                "both LoKr factors are whole: the scale is 1 and the stored alpha is not used, as in \
                 LyCORIS; PEFT divides alpha by its r, which the option `wholeLokrRank` sets",
            ),
            Self::DoraAxis => (
                "DoraAxis",
                "dora_scale fits the outputs and the inputs alike: read for the outputs (PEFT, \
                 LyCORIS since 3.2); older LyCORIS means the inputs, which the option `doraAxis` sets",
            ),
        }
    }
}

/// The number of an `.alpha` tensor.
fn alpha(group: &Group<'_>) -> Result<Option<f64>> {
    let Some(key) = group.keys.get(&Role::Alpha) else { return Ok(None) };
    let header = group.tensors.header();
    let Some(entry) = header.entry(&key.name) else { return Ok(None) };
    if entry.shape.iter().any(|&d| d != 1) {
        return Err(Error::shape(format!("tensor {}", key.name), &[], &entry.shape));
    }
    match scalar(entry.dtype, group.tensors.bytes(&key.name)?) {
        Some(alpha) => Ok(Some(alpha)),
        None => Err(Error::Unsupported {
            what: format!("dtype of tensor {}", key.name),
            got: entry.dtype.to_owned(),
            supported: "F64, F32, F16, BF16 and whole numbers".into(),
        }),
    }
}

fn finite(group: &Group<'_>, what: &str, number: f64) -> Result<f32> {
    let narrow = number as f32;
    if narrow.is_finite() {
        return Ok(narrow);
    }
    Err(Error::NotFinite {
        what: format!("{what} of module {}", group.module),
        index: 0,
        value: number.to_string(),
    })
}

/// Sorts the tensors of a file by module; refuses the ones that are nothing of an adapter.
pub(super) fn sort(tensors: &Tensors<'_>) -> Result<Sorted> {
    let mut groups = Groups::default();
    for tensor in tensors.names() {
        let key = match key::parse(&tensor) {
            Ok(key) => key,
            Err(reason) => return Err(Error::UnknownTensor { tensor, reason }),
        };
        // The names of PEFT's wrappers come off; the other prefixes tell which part of a pipeline
        // a module belongs to, and stay.
        let module = key::module(&key.stem).0;
        groups.insert(module, key)?;
    }
    Ok(Sorted { groups, whole: Whole::default(), warnings: Vec::new() })
}

/// Which program's names they are.
fn format(tensors: &Tensors<'_>) -> &'static str {
    let lycoris = |(key, value): (&String, &String)| {
        key == "ss_network_module" && value.starts_with("lycoris")
    };
    let names = || tensors.header().entries().iter().map(|entry| entry.name.as_str());
    if tensors.metadata().iter().any(lycoris)
        || names()
            .any(|n| n.starts_with("lycoris_") || n.contains(".hada_") || n.contains(".lokr_"))
    {
        return "LyCORIS";
    }
    let kohya = |n: &str| n.contains(".lora_down.") || n.ends_with(".alpha");
    if names().any(kohya) { "kohya" } else { "diffusers" }
}

/// Settings that new diffusers files keep as JSON in the header, by component: `unet.r`,
/// `unet.lora_alpha`, `unet.alpha_pattern`.
#[derive(Debug)]
struct Diffusers {
    components: BTreeMap<String, Settings>,
}

#[derive(Debug, Default)]
struct Settings {
    alpha: Option<f64>,
    rslora: bool,
    pattern: Vec<(String, f64)>,
}

impl Diffusers {
    fn parse(text: &str) -> Result<Self> {
        let bad = |got: &str| Error::BadConfig {
            file: "the header's metadata".into(),
            field: "lora_adapter_metadata".into(),
            expected: "a JSON object".into(),
            got: super::look::short(got, 60),
        };
        let object = parse_object(text).ok_or_else(|| bad(text))?;
        let mut components: BTreeMap<String, Settings> = BTreeMap::new();
        for (key, value) in &object {
            let Some((component, field)) = key.split_once('.') else { continue };
            let settings = components.entry(component.to_owned()).or_default();
            match (field, value) {
                ("lora_alpha", value) => settings.alpha = value.as_f64(),
                ("use_rslora", value) => settings.rslora = value.as_bool().unwrap_or(false),
                ("alpha_pattern", Value::Object(map)) => {
                    let number = |(k, v): (&String, &Value)| Some((k.clone(), v.as_f64()?));
                    settings.pattern = map.iter().filter_map(number).collect();
                }
                _ => {}
            }
        }
        Ok(Self { components })
    }

    /// Alpha of a module, and whether it is divided by the root of the rank.
    fn alpha(&self, module: &str) -> Option<(f64, bool)> {
        let (component, path) = module.split_once('.')?;
        let settings = self.components.get(component)?;
        let own = settings.pattern.iter().find(|(end, _)| key::ends_path(path, end));
        let own = own.map(|(_, alpha)| *alpha);
        Some((own.or(settings.alpha)?, settings.rslora))
    }
}

fn parse_object(text: &str) -> Option<serde_json::Map<String, Value>> {
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Some(map),
        _ => None,
    }
}
