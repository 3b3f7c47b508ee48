//! Fused parameters of experts (PEFT `target_parameters`, `tuners/lora/layer.py: ParamWrapper`,
//! since 0.17): one LoRA for a parameter of three dimensions, with `lora_A` `[experts * r, in]`,
//! expert behind expert, and `lora_B` `[out, r * experts]`, where the expert changes fastest.
//!
//! How many experts there are, and whether the parameter lies as `[experts, out, in]` or
//! `[experts, in, out]`, only the base tells. Where a module has several such parameters, their
//! wrappers nest (`X.base_layer.lora_A` inside of `X.lora_A`) in the order in which the model
//! registers them, which no file tells: the shapes do, where they differ.

use std::collections::BTreeMap;

use super::group::Groups;
use super::key::Role;
use super::peft::Config;
use super::{Base, Tensors};
use crate::adapter::Expert;
use crate::{Error, Result};

/// Where the factors of a module belong.
pub(super) struct Place {
    /// The parameter's full name in the base.
    pub(super) parameter: String,
    /// How many experts it has.
    pub(super) count: usize,
    transposed: bool,
}

impl Place {
    /// The experts, with the names of their deltas.
    pub(super) fn experts(&self) -> impl Iterator<Item = (String, Option<Expert>)> {
        let &Self { count, transposed, .. } = self;
        (0..count).map(move |index| {
            let name = format!("{}.{index}", self.parameter);
            (name, Some(Expert { index, count, transposed }))
        })
    }
}

/// The module that wrappers of its parameters stand for.
pub(super) fn unwrapped(module: &str) -> &str {
    let mut own = module;
    while let Some(inner) = own.strip_suffix(".base_layer") {
        own = inner;
    }
    own
}

/// A parameter that the config names and the base has.
struct Parameter<'a> {
    name: String,
    /// `[experts, out, in]` or `[experts, in, out]`.
    shape: [usize; 3],
    /// `r` of the config.
    rank: usize,
    base: &'a Base,
}

/// The place of every module that is a wrapper of a fused parameter, or why it has none.
pub(super) fn place(
    groups: &Groups,
    tensors: &Tensors<'_>,
    config: &Config,
    base: &Base,
) -> BTreeMap<String, Result<Place>> {
    let mut wrappers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for module in groups.modules.keys() {
        wrappers.entry(unwrapped(module)).or_default().push(module);
    }
    let mut places = BTreeMap::new();
    for (own, mut open) in wrappers {
        let parameters = config.parameters(own);
        let mut free: Vec<Parameter<'_>> = parameters
            .filter_map(|parameter| {
                let name = format!("{}.{parameter}", base.find(own, parameter).ok()?);
                let shape = base.shape(&name)?.try_into().ok()?;
                let rank = config.resolve(&format!("{own}.{parameter}")).rank;
                Some(Parameter { name, shape, rank, base })
            })
            .collect();
        if free.is_empty() {
            continue;
        }
        let shapes = |module: &str| {
            let shape = |role| tensors.shape(&groups.modules.get(module)?.get(&role)?.name);
            Some([shape(Role::LoraA)?, shape(Role::LoraB)?])
        };
        let fitting = |module: &str, free: &[Parameter<'_>]| -> Vec<usize> {
            let Some(factors) = shapes(module) else { return Vec::new() };
            (0..free.len()).filter(|&at| free[at].fits(factors).contains(&true)).collect()
        };
        // A wrapper that fits one parameter alone takes it from the others.
        while let Some((at, parameter)) =
            open.iter().enumerate().find_map(|(at, module)| match fitting(module, &free)[..] {
                [one] => Some((at, one)),
                _ => None,
            })
        {
            let (module, parameter) = (open.remove(at), free.remove(parameter));
            let factors = shapes(module).unwrap_or_default();
            places.insert(module.to_owned(), parameter.place(factors));
        }
        for module in open {
            let error = match fitting(module, &free)[..] {
                [first, second, ..] => Error::argument(
                    "base",
                    "one parameter of the shape of the factors",
                    format!("{} and {}, alike", free[first].name, free[second].name),
                ),
                _ => Error::ShapeMismatch {
                    what: format!("module {module}"),
                    expected: free.iter().map(Parameter::expected).collect::<Vec<_>>().join(" or "),
                    got: format!("{:?}", shapes(module).unwrap_or_default()),
                },
            };
            places.insert(module.to_owned(), Err(error));
        }
    }
    places
}

impl Parameter<'_> {
    /// Whether factors of these shapes, `lora_A` and `lora_B`, can be its own: as `[experts, out, in]`,
    /// as `[experts, in, out]`.
    fn fits(&self, factors: [&[usize]; 2]) -> [bool; 2] {
        let [experts, rows, columns] = self.shape;
        let both =
            self.rank.checked_mul(experts).filter(|both| *both > 0 && rows > 0 && columns > 0);
        [[rows, columns], [columns, rows]].map(|[out, inputs]| {
            both.is_some_and(|both| factors == [&[both, inputs][..], &[out, both][..]])
        })
    }

    fn place(self, factors: [&[usize]; 2]) -> Result<Place> {
        let transposed = match self.fits(factors) {
            [true, true] => self.base.transposed_experts().ok_or_else(|| {
                Error::argument(
                    "base",
                    format!(
                        "a config.json that tells the layout of {}, whose experts are square",
                        self.name
                    ),
                    "a model_type that does not",
                )
            })?,
            [_, transposed] => transposed,
        };
        Ok(Place { parameter: self.name, count: self.shape[0], transposed })
    }

    fn expected(&self) -> String {
        format!("rank {} for each expert of {} {:?}", self.rank, self.name, self.shape)
    }
}
