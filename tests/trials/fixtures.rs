//! The real files that the trials run on, inside the test program so that a browser has them too.

use lokahi::format::Files;

macro_rules! file {
    ($($part:expr),+) => {
        include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $($part),+)) as &[u8]
    };
}

/// A folder of files, as loaders take it.
pub type Folder = [(&'static str, &'static [u8])];

pub fn files(folder: &'static Folder) -> Files<'static> {
    let mut files = Files::new();
    for (name, bytes) in folder {
        files.insert(*name, *bytes);
    }
    files
}

macro_rules! places_adapters {
    ($($country:literal),+) => { places_adapters!(@methods $($country "lora", $country "loha", $country "lokr"),+) };
    (@methods $($country:literal $method:literal),+) => {
        &[$((
            concat!($country, "-", $method),
            &[
                ("adapter_config.json",
                    file!("www/public/places/adapters/", $country, "-", $method, "/adapter_config.json")),
                ("adapter_model.safetensors",
                    file!("www/public/places/adapters/", $country, "-", $method, "/adapter_model.safetensors")),
            ],
        )),+]
    };
}

/// One case that PEFT computed: the frozen weights, the adapter as PEFT saved it, and what it does.
pub struct Case {
    pub name: &'static str,
    pub adapter: &'static Folder,
    pub base: &'static [u8],
    pub expected: &'static [u8],
}

macro_rules! cases {
    ($($name:literal),+ $(,)?) => {
        pub const CASES: &[Case] = &[$(Case {
            name: $name,
            adapter: &[
                ("adapter_config.json",
                    file!("tests/fixtures/adapters/", $name, "/adapter_config.json")),
                ("adapter_model.safetensors",
                    file!("tests/fixtures/adapters/", $name, "/adapter_model.safetensors")),
            ],
            base: file!("tests/fixtures/adapters/", $name, "/base.safetensors"),
            expected: file!("tests/fixtures/adapters/", $name, "/expected.safetensors"),
        }),+];
    };
}

cases!(
    "peft-lora",
    "peft-lora-rslora",
    "peft-lora-patterns",
    "peft-lora-fp16",
    "peft-lora-bf16",
    "peft-loha",
    "peft-loha-patterns",
    "peft-lokr",
    "peft-lokr-full",
    "peft-lokr-factor",
    "peft-lokr-both",
    "peft-lokr-prime",
);

/// A tiny random model of one family, an adapter of it, and what transformers and PEFT make of
/// both.
pub struct Sample {
    pub name: &'static str,
    pub model: &'static Folder,
    pub adapter: &'static Folder,
    /// `ids` `[21]`, `logits` and `logits_adapter` `[21, 97]`.
    pub goldens: &'static [u8],
}

macro_rules! samples {
    ($($name:literal),+ $(,)?) => {
        pub const SAMPLES: &[Sample] = &[$(Sample {
            name: $name,
            model: &[
                ("config.json", file!("tests/fixtures/models/", $name, "/config.json")),
                ("model.safetensors", file!("tests/fixtures/models/", $name, "/model.safetensors")),
            ],
            adapter: &[
                ("adapter_config.json",
                    file!("tests/fixtures/models/", $name, "/adapter/adapter_config.json")),
                ("adapter_model.safetensors",
                    file!("tests/fixtures/models/", $name, "/adapter/adapter_model.safetensors")),
            ],
            goldens: file!("tests/fixtures/models/", $name, "/goldens.safetensors"),
        }),+];
    };
}

samples!("llama-untied", "llama-rope-llama3", "llama-bias-headdim", "qwen2", "qwen3", "mistral",);

/// The model that names towns.
pub const PLACES: &Folder = &[
    ("config.json", file!("www/public/places/base/config.json")),
    ("model.safetensors", file!("www/public/places/base/model.safetensors")),
];

/// Its adapters, by name.
pub const PLACES_ADAPTERS: &[(&str, &Folder)] =
    places_adapters!("fi", "it", "jp", "kr", "pl", "tr");

/// Logits `NAME.PREFIX` `[tokens, vocabulary]` by transformers and PEFT.
pub const PLACES_LOGITS: &[u8] = file!("tests/fixtures/places/goldens.safetensors");

/// Prefixes, and the greedy continuation of each by each model.
pub const PLACES_NAMES: &[u8] = file!("tests/fixtures/places/goldens.json");
