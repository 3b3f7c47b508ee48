//! Safetensors adapters of any kind: what is in the file is known from its header, factors are read
//! when they are asked for.

use std::collections::BTreeMap;
use std::ops::Range;

use super::by_name::by_name;
use super::group::{Fill, Group, Groups};
use super::key::Role;
use super::{Base, Conventions, Files, Outline, Tensors, experts, lycoris, peft};
use crate::adapter::{Adapter, Delta, Expert, Rows, Warning};
use crate::tensor::Tensor;
use crate::{Error, Result};

/// The names that adapters have in a folder, in the order in which they are looked for.
const ADAPTER_FILES: [&str; 3] =
    ["adapter_model.safetensors", "adapter.safetensors", "pytorch_lora_weights.safetensors"];

/// One adapter file, and its config where it has one.
#[derive(Debug)]
pub struct AdapterFile<'a> {
    tensors: Tensors<'a>,
    rules: Rules,
    groups: Groups,
    whole: Whole,
    warnings: Vec<Warning>,
    /// Whether the base has told which parameters `target_parameters` means.
    resolved: bool,
}

/// What gives ranks and scales.
#[derive(Debug)]
enum Rules {
    Peft(peft::Config),
    Lycoris(lycoris::Rules),
}

/// What a file brings that takes the place of the base's numbers: names in the base, and names in
/// the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Whole {
    /// Whole tensors.
    pub(super) tensors: BTreeMap<String, String>,
    /// Rows of embedding tables.
    pub(super) rows: BTreeMap<String, (String, Vec<usize>)>,
}

/// What the reader of one kind of file makes of its names.
pub(super) struct Sorted {
    pub(super) groups: Groups,
    pub(super) whole: Whole,
    pub(super) warnings: Vec<Warning>,
}

impl<'a> AdapterFile<'a> {
    /// Sorts the tensors of a file by its header alone. With `config`, the name and the bytes of an
    /// `adapter_config.json`, it is a PEFT folder; without, alphas are tensors of the file, as in
    /// kohya, LyCORIS and diffusers files. Every tensor has its place, or is named in the error.
    pub fn open(
        config: Option<(&str, &[u8])>,
        tensors: Tensors<'a>,
        conventions: &Conventions,
    ) -> Result<Self> {
        let (sorted, rules) = match config {
            Some((name, bytes)) => {
                let config = peft::Config::parse(name, bytes)?;
                (peft::sort(&tensors, &config)?, Rules::Peft(config))
            }
            None => {
                let rules = lycoris::Rules::new(&tensors, conventions)?;
                (lycoris::sort(&tensors)?, Rules::Lycoris(rules))
            }
        };
        let Sorted { groups, whole, warnings } = sorted;
        if groups.modules.is_empty() && whole.tensors.is_empty() && whole.rows.is_empty() {
            return Err(Error::BadFile {
                file: tensors.file().to_owned(),
                expected: "the factors of at least one module".into(),
                got: "no adapter tensors".into(),
            });
        }
        let mut file = Self { tensors, rules, groups, whole, warnings, resolved: false };
        let warnings = match &file.rules {
            Rules::Peft(config) => config.warnings(file.groups.modules.keys()),
            Rules::Lycoris(rules) => {
                rules.warnings(file.modules().map(|m| file.group(m, Fill::Shapes)))?
            }
        };
        file.warnings.extend(warnings);
        Ok(file)
    }

    /// `PEFT`, or what the names say: `LyCORIS`, `kohya`, `diffusers`.
    #[must_use]
    pub fn format(&self) -> &'static str {
        match &self.rules {
            Rules::Peft(_) => "PEFT",
            Rules::Lycoris(rules) => rules.format(),
        }
    }

    /// The file: header, metadata, and the bytes that are at hand.
    #[must_use]
    pub fn tensors(&self) -> &Tensors<'a> {
        &self.tensors
    }

    /// The same, to add or forget bytes.
    pub fn tensors_mut(&mut self) -> &mut Tensors<'a> {
        &mut self.tensors
    }

    /// The modules, sorted; by the base's names once [`AdapterFile::rename`] has run.
    pub fn modules(&self) -> impl Iterator<Item = &str> {
        self.groups.modules.keys().map(String::as_str)
    }

    /// Tensors that take the place of the base's, by their name there, with their shape and dtype.
    pub fn whole_tensors(&self) -> impl Iterator<Item = (&str, &[usize], &'static str)> {
        let rows = self.whole.rows.iter().map(|(name, (tensor, _))| (name, tensor));
        self.whole.tensors.iter().chain(rows).filter_map(|(name, tensor)| {
            let entry = self.tensors.header().entry(tensor)?;
            Some((name.as_str(), entry.shape.as_slice(), entry.dtype))
        })
    }

    /// What the reader had to guess or wants to tell.
    #[must_use]
    pub fn warnings(&self) -> &[Warning] {
        &self.warnings
    }

    /// Gives every module another name: that of the base model.
    pub fn rename(&mut self, mut name: impl FnMut(&str) -> Result<String>) -> Result<()> {
        self.rename_all(|module, expert| Ok(vec![(name(module)?, expert)]))
    }

    /// Gives every module other names, of which those of experts share its tensors.
    fn rename_all(
        &mut self,
        mut names: impl FnMut(&str, Option<Expert>) -> Result<Vec<(String, Option<Expert>)>>,
    ) -> Result<()> {
        let mut groups = Groups::default();
        for (module, keys) in &self.groups.modules {
            for (new, expert) in names(module, self.groups.experts.get(module).copied())? {
                groups.experts.extend(expert.map(|expert| (new.clone(), expert)));
                if groups.modules.insert(new.clone(), keys.clone()).is_some() {
                    return Err(Error::argument(
                        "base",
                        "a module of its own for each of the adapter",
                        format!("{new} for {module} and for another"),
                    ));
                }
            }
        }
        self.groups = groups;
        Ok(())
    }

    /// Gives the modules the names of the base model, and compares their shapes with its weights.
    /// One module that does not fit is an error for all: the file was made for another model. Factors
    /// of a fused parameter become one module for each expert, `module.parameter.index`.
    pub fn resolve(&mut self, base: &Base) -> Result<()> {
        let total = self.groups.modules.len();
        let (mut names, mut example) = (BTreeMap::new(), None);
        let mut places = match &self.rules {
            Rules::Peft(config) if !self.resolved => {
                experts::place(&self.groups, &self.tensors, config, base)
            }
            _ => BTreeMap::new(),
        };
        for module in self.groups.modules.keys() {
            if let Some(place) = places.remove(module) {
                match place {
                    Ok(place) => drop(names.insert(module.clone(), place.experts().collect())),
                    Err(error) => drop(example.get_or_insert(format!("{module}: {error}"))),
                }
                continue;
            }
            let group = self.group(module, Fill::Shapes);
            let name = match group.expert {
                Some(_) => Ok(module.clone()),
                None => base.module(module),
            };
            let fits = name.and_then(|name| {
                let (factors, layer) = group.factors()?;
                let delta = Delta { layer, ..Delta::new(factors, 1, 1.0, 1.0) };
                let shape = base.tied_shape(&delta.tensor(&name)).unwrap_or(&[]);
                delta.orientation(shape, base.conv1d()).map(|_| name)
            });
            match fits {
                Ok(name) => drop(names.insert(module.clone(), vec![(name, group.expert)])),
                Err(error) => drop(example.get_or_insert(format!("{module}: {error}"))),
            }
        }
        match example {
            Some(example) => Err(Error::BaseMismatch { matched: names.len(), total, example }),
            None => {
                self.rename_all(|module, _| Ok(names.remove(module).unwrap_or_default()))?;
                self.resolved = true;
                Ok(())
            }
        }
    }

    /// Leaves out the modules that `keep` says no to; returns how many they were.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) -> usize {
        let before = self.groups.modules.len();
        self.groups.modules.retain(|module, _| keep(module));
        before - self.groups.modules.len()
    }

    /// Places in the file of the numbers that [`AdapterFile::outline`] needs: alphas.
    #[must_use]
    pub fn scalars(&self) -> Vec<Range<u64>> {
        let alphas = self.groups.modules.values().filter_map(|keys| keys.get(&Role::Alpha));
        let entry = |name: &String| self.tensors.header().entry(name);
        alphas.filter_map(|key| entry(&key.name)).map(|entry| entry.range.clone()).collect()
    }

    /// Places in the file of everything that [`AdapterFile::delta`] needs of one module.
    pub fn ranges(&self, module: &str) -> Result<Vec<Range<u64>>> {
        Ok(self.find(module, Fill::Shapes)?.ranges().collect())
    }

    /// What shapes and settings tell of one module.
    pub fn outline(&self, module: &str) -> Result<Outline> {
        let group = self.find(module, Fill::Shapes)?;
        let entries = group.keys.values().filter(|key| key.role != Role::Alpha);
        let entries = entries.filter_map(|key| self.tensors.header().entry(&key.name));
        let parameters: usize =
            entries.clone().map(|entry| entry.shape.iter().product::<usize>()).sum();
        let parameters = parameters / group.expert.map_or(1, |expert| expert.count);
        let mut dtypes = entries.map(|entry| entry.dtype);
        let first = dtypes.next().unwrap_or("F32");
        let dtype = if dtypes.all(|dtype| dtype == first) { first } else { "mixed" };
        Ok(Outline::new(self.read_group(&group)?, parameters, dtype))
    }

    /// The delta of one module.
    pub fn delta(&self, module: &str) -> Result<Delta> {
        self.read_group(&self.find(module, Fill::Numbers)?)
    }

    /// All of it.
    pub fn read(&self) -> Result<Adapter> {
        let delta = |module: &String| Ok((module.clone(), self.delta(module)?));
        let deltas = by_name(self.groups.modules.keys().map(delta))?;
        let whole = |(name, tensor): (&String, &String)| Ok((name.clone(), self.whole(tensor)?));
        let replaced = by_name(self.whole.tensors.iter().map(whole))?;
        let rows = |(name, (tensor, indices)): (&String, &(String, Vec<usize>))| {
            Ok((name.clone(), Rows::new(indices.clone(), self.whole(tensor)?)?))
        };
        let rows = by_name(self.whole.rows.iter().map(rows))?;
        Ok(Adapter { deltas, replaced, rows, warnings: self.warnings.clone() })
    }

    /// The named tensors of one module as they are stored, to look for what is wrong with them.
    pub fn stored(&self, module: &str) -> Result<Vec<(String, Tensor)>> {
        let group = self.find(module, Fill::Numbers)?;
        let factors = group.keys.values().filter(|key| key.role != Role::Alpha);
        factors.map(|key| Ok((key.name.clone(), self.tensors.get(&key.name)?))).collect()
    }

    fn whole(&self, tensor: &str) -> Result<Tensor> {
        let whole = self.tensors.get(tensor)?;
        whole.check_finite(&format!("tensor {tensor}"))?;
        Ok(whole)
    }

    fn read_group(&self, group: &Group<'_>) -> Result<Delta> {
        match &self.rules {
            Rules::Peft(config) => peft::delta(group, config),
            Rules::Lycoris(rules) => rules.delta(group),
        }
    }

    fn find<'b>(&'b self, module: &'b str, fill: Fill) -> Result<Group<'b>> {
        if !self.groups.modules.contains_key(module) {
            return Err(Error::argument("module", "the name of a module of this adapter", module));
        }
        if let Some(parameter) = self.unresolved(module) {
            return Err(Error::Unsupported {
                what: format!("module {module} without its base"),
                got: format!("factors of the experts of {parameter} (target_parameters)"),
                supported: "with the base, whose shapes tell the experts apart".into(),
            });
        }
        Ok(self.group(module, fill))
    }

    /// A parameter that the factors may belong to, as long as no base has told.
    fn unresolved(&self, module: &str) -> Option<&str> {
        match &self.rules {
            Rules::Peft(config) if !self.resolved => {
                config.parameters(experts::unwrapped(module)).next()
            }
            _ => None,
        }
    }

    fn group<'b>(&'b self, module: &'b str, fill: Fill) -> Group<'b> {
        static NONE: BTreeMap<Role, super::key::Key> = BTreeMap::new();
        let keys = self.groups.modules.get(module).unwrap_or(&NONE);
        let expert = self.groups.experts.get(module).copied();
        Group { module, keys, tensors: &self.tensors, expert, fill }
    }
}

/// The adapter in a folder that is in memory: PEFT's two files, or one safetensors file.
pub fn read(files: &Files<'_>, conventions: &Conventions) -> Result<Adapter> {
    let config = "adapter_config.json";
    let config = if files.has(config) { Some(files.get(config)?) } else { None };
    let known = ADAPTER_FILES.into_iter().find(|name| files.has(name));
    let (name, bytes) = match (known, &config) {
        (Some(name), _) => files.get(name)?,
        (None, Some(_)) => files.get(ADAPTER_FILES[0])?,
        (None, None) => files.only(".safetensors")?,
    };
    AdapterFile::open(config, Tensors::parse(name, bytes)?, conventions)?.read()
}
