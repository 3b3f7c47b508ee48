//! Sound files of odd content: the header is made from the input, so that every input gets past
//! the parsers, to the names, shapes and rules of adapters.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use lokahi::adapter::Axis;
use lokahi::format::{Conventions, gguf};
use lokahi::tensor::{Data, Tensor};
use serde_json::{Map, Value, json};

const MODULES: [&str; 8] = [
    "l",
    "base_model.model.l.q",
    "lora_unet_l_q",
    "model.layers.0.self_attn.q_proj",
    "model.embed_tokens",
    "unet.b.processor.to_q_lora",
    "experts.base_layer",
    "experts",
];

const SUFFIXES: [&str; 44] = [
    "lora_A.weight",
    "lora_B.weight",
    "lora_A.default.weight",
    "lora_B",
    "lora_B.bias",
    "lora_down.weight",
    "lora_up.weight",
    "lora_mid.weight",
    "lora_embedding_A",
    "lora_embedding_B",
    "lora_magnitude_vector",
    "lora_magnitude_vector.weight",
    "magnitude",
    "dora_scale",
    "alpha",
    "alpha.alpha",
    "lora.down.weight",
    "lora.up.weight",
    "down.weight",
    "up.weight",
    "hada_w1_a",
    "hada_w1_b",
    "hada_w2_a",
    "hada_w2_b",
    "hada_t1",
    "hada_t2",
    "lokr_w1",
    "lokr_w1_a",
    "lokr_w1_b",
    "lokr_w2",
    "lokr_w2_a",
    "lokr_w2_b",
    "lokr_t2",
    "weight",
    "bias",
    "base_layer.weight",
    "token_adapter.trainable_tokens_delta",
    "modules_to_save.weight",
    "diff",
    "weight.lora_a",
    "weight.lora_b",
    "lora_A.other.weight",
    "lokr_t1",
    "",
];

/// Tensors that make a module together, so that one is not left to chance.
const SETS: [&[usize]; 7] =
    [&[0, 1], &[5, 6], &[5, 6, 7], &[8, 9], &[20, 21, 22, 23], &[26, 29], &[26, 30, 31]];

#[derive(Arbitrary, Debug)]
struct Input {
    tensors: Vec<Piece>,
    config: Option<Config>,
    metadata: Option<(bool, u8)>,
    alpha: Option<i8>,
    whole_lokr_rank: Option<u8>,
    axis: Option<bool>,
    /// Size of factors that fit together: out, in, r, kernel.
    sizes: [u8; 4],
}

#[derive(Arbitrary, Debug)]
struct Piece {
    module: u8,
    suffix: u8,
    /// A set of tensors that fit, or one of any shape.
    fits: bool,
    shape: [u8; 4],
    dimensions: u8,
    dtype: u8,
    fill: i8,
}

#[derive(Arbitrary, Debug)]
struct Config {
    method: u8,
    r: u8,
    alpha: i8,
    flags: u8,
    pattern: Option<(u8, u8)>,
    tokens: Option<Vec<u8>>,
    by_module: bool,
    saves: bool,
}

struct Stored {
    name: String,
    shape: Vec<usize>,
    dtype: u8,
    fill: i8,
}

impl Stored {
    fn len(&self) -> usize {
        self.shape.iter().product()
    }

    fn number(&self, i: usize) -> f32 {
        // Small whole numbers: their sums are exact. The ends of the range stand for all others.
        match (self.fill, i) {
            (i8::MAX, 0) => f32::NAN,
            (i8::MIN, _) => f32::MAX,
            _ => ((i as i32 * 5 + i32::from(self.fill)) % 9 - 4) as f32,
        }
    }
}

fn expand(input: &Input) -> Vec<Stored> {
    let [out, inputs, r, k] = input.sizes.map(|n| usize::from(n % 6) + 1);
    let fitting = |suffix: &str| -> Vec<usize> {
        match suffix {
            "lora_B.weight" | "lora_up.weight" => vec![out, r],
            "lora_embedding_B" | "hada_w1_a" | "hada_w2_a" | "lokr_w2_a" => vec![out, r],
            "lora_mid.weight" => vec![r, r, k],
            "lokr_w1" | "lokr_w2" => vec![out, inputs],
            _ => vec![r, inputs],
        }
    };
    let mut all = Vec::new();
    for piece in &input.tensors {
        let module = MODULES[usize::from(piece.module) % MODULES.len()];
        let name = |suffix: &str| match suffix {
            "" => module.to_owned(),
            _ => format!("{module}.{suffix}"),
        };
        let set = SETS[usize::from(piece.suffix) % SETS.len()];
        let one = [usize::from(piece.suffix) % SUFFIXES.len()];
        for &at in if piece.fits { set } else { &one } {
            let dimensions = usize::from(piece.dimensions % 5);
            let any = piece.shape[..dimensions.min(4)].iter().map(|d| usize::from(d % 9)).collect();
            let mut shape = if piece.fits { fitting(SUFFIXES[at]) } else { any };
            if piece.fits && set.len() == 3 && set[2] == 7 {
                let ones = 3 - shape.len();
                shape.extend(std::iter::repeat_n(1, ones));
            }
            let (dtype, fill) = (piece.dtype, piece.fill);
            all.push(Stored { name: name(SUFFIXES[at]), shape, dtype, fill });
        }
    }
    all
}

fn safetensors(tensors: &[Stored], metadata: Option<(bool, u8)>) -> Vec<u8> {
    let (mut header, mut data) = (Map::new(), Vec::<u8>::new());
    if let Some((rslora, alpha)) = metadata {
        let settings = json!({
            "unet.lora_alpha": alpha, "unet.use_rslora": rslora, "unet.alpha_pattern": { "to_q": 2 },
        });
        header.insert(
            "__metadata__".into(),
            json!({
                "lora_adapter_metadata": settings.to_string(),
                "ss_network_args": json!({ "wd_on_output": rslora }).to_string(),
            }),
        );
    }
    for tensor in tensors {
        if header.contains_key(&tensor.name) {
            continue;
        }
        let start = data.len();
        let numbers = (0..tensor.len()).map(|i| tensor.number(i));
        let dtype = match tensor.dtype % 8 {
            0 => {
                data.extend(numbers.flat_map(|v| ((v.to_bits() >> 16) as u16).to_le_bytes()));
                "BF16"
            }
            1 => {
                data.extend(numbers.flat_map(|v| f64::from(v).to_le_bytes()));
                "F64"
            }
            2 => {
                data.extend(numbers.map(|v| v as i8 as u8));
                "I8"
            }
            _ => {
                data.extend(numbers.flat_map(f32::to_le_bytes));
                "F32"
            }
        };
        let entry =
            json!({ "dtype": dtype, "shape": tensor.shape, "data_offsets": [start, data.len()] });
        header.insert(tensor.name.clone(), entry);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}

fn json_config(config: &Config) -> Vec<u8> {
    let on = |bit: u8| config.flags & (1 << bit) != 0;
    let method = ["LORA", "LOHA", "LOKR", "IA3"][usize::from(config.method % 4)];
    let mut json = json!({
        "peft_type": method, "r": config.r % 7, "lora_alpha": config.alpha, "alpha": config.alpha,
        "use_rslora": on(0), "use_dora": on(1), "lora_bias": on(2),
        "bias": if on(3) { "all" } else { "none" },
        "target_modules": ["q", "l"],
    });
    if on(4) {
        json["target_parameters"] = json!(["experts.gate_up_proj", "experts.down_proj"]);
    }
    if let Some((rank, alpha)) = config.pattern {
        json["rank_pattern"] = json!({ "q": rank % 5, "l|.*": 1 });
        json["alpha_pattern"] = json!({ "q": alpha });
    }
    if let Some(tokens) = &config.tokens {
        json["trainable_token_indices"] =
            if config.by_module { json!({ "embed_tokens": tokens }) } else { json!(tokens) };
    }
    if config.saves {
        json["modules_to_save"] = json!(["modules_to_save"]);
    }
    json.to_string().into_bytes()
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(input) = Input::arbitrary(&mut Unstructured::new(bytes)) else { return };
    let tensors = expand(&input);
    if tensors.iter().map(Stored::len).sum::<usize>() > 1 << 16 {
        return;
    }
    let conventions = Conventions {
        alpha: input.alpha.map(f64::from),
        whole_lokr_rank: input.whole_lokr_rank.map(usize::from),
        dora_axis: input.axis.map(|out| if out { Axis::Out } else { Axis::In }),
    };
    let file = safetensors(&tensors, input.metadata);
    let config = input.config.as_ref().map(json_config);
    lokahi_fuzz::open(config.as_deref(), &file, &conventions);

    let mut metadata = gguf::Metadata::new("built.gguf");
    metadata.insert("general.architecture", "llama");
    metadata.insert("general.type", "adapter");
    metadata.insert("adapter.type", "lora");
    if let Some(alpha) = input.alpha {
        metadata.insert("adapter.lora.alpha", f32::from(alpha));
    }
    let tensor = |t: &Stored| {
        let numbers = (0..t.len()).map(|i| t.number(i)).collect();
        let name = t.name.replace("model.layers.", "blk.").replace("self_attn.q_proj", "attn_q");
        let name = name.replace("lora_A.weight", "weight.lora_a");
        let name = name.replace("lora_B.weight", "weight.lora_b");
        Some((name, Tensor::new(t.shape.clone(), Data::F32(numbers)).ok()?))
    };
    if let Ok(bytes) = gguf::write(&metadata, &tensors.iter().filter_map(tensor).collect()) {
        lokahi_fuzz::open_gguf(&bytes);
    }
});
