//! Public reports of wrong numbers and of files that broke a reader, and the test that each has here.
//!
//! Left out: what this crate does not have: `set_scale` (peft#2775), splitting of fused projections
//! (mflux#458), unmerging by subtraction (peft#3532's other half), the embedding scale of Gemma in a
//! running model (peft#2809, #2839: deltas of embeddings are merged, and the table is scaled whole),
//! trained tokens of several adapters at once (peft#3514), combinations by DARE (peft#3152).

use std::path::Path;

use lokahi::Result;
use lokahi::adapter::{Adapter, Axis, Delta, Factors, Layer, Lora, Magnitude, merge};
use lokahi::format::{AdapterFile, Conventions, Files, Tensors, read};
use lokahi::tensor::{Data, Matrix, Tensor};
use serde_json::{Value, json};

use crate::format::{Stored, safetensors_file, safetensors_with, stored, with_header};
use crate::refused::refused;

/// Report; the smallest input that shows it; what is right; the test.
const REPORTS: [[&str; 4]; 76] = [
    // Scale and alpha
    ["peft#2180, #1931, #1935", "LoKr 4x4, r 1, alpha 4", "4 w1 kron w2", "lokr_is_scaled"],
    ["diffusers#13250, #13997", "square w1, w2", "kron, not w1 w2", "lokr_is_scaled"],
    [
        "Phased-Consistency-Model#33",
        "no alpha",
        "1, and told",
        "without_alpha_the_scale_is_one_and_a_warning_says_so",
    ],
    [
        "Phased-Consistency-Model#33",
        "alpha in the header",
        "used",
        "new_diffusers_files_keep_alpha_in_the_header",
    ],
    [
        "ComfyUI#8094",
        "no alpha",
        "1, and told",
        "without_alpha_the_scale_is_one_and_a_warning_says_so",
    ],
    [
        "sd-scripts#2204",
        "fused qkv, rank 3r",
        "alpha / rank as written",
        "alpha_tensors_count_by_module",
    ],
    [
        "sd-scripts#2204",
        "block-diagonal up",
        "found, told",
        "parts_of_a_fused_projection_are_found",
    ],
    [
        "AnimaLoraStudio#241",
        "r 4 and 8, one alpha",
        "alpha / r each",
        "alpha_tensors_count_by_module",
    ],
    ["vllm#6909, sglang#40835", "r 16, alpha 16, rslora", "4", "scales_of_configs"],
    ["mlx-vlm#841, #845", "r 8, alpha 16", "2", "scales_of_configs"],
    ["ComfyUI#6909, #12191", "alpha 1 of 32, 64 of 16", "1/32, 4", "alpha_tensors_count_by_module"],
    [
        "sd-scripts f7a1868f, 358f13f2",
        "with and without alpha",
        "alpha / r, 1",
        "alpha_of_any_dtype_counts_literally",
    ],
    ["peft#2489", "lora_bias 1, scale 2", "2", "lora_bias_is_scaled"],
    [
        "diffusers#10804, #10808",
        "proj_out, b.0.proj_out",
        "own ranks",
        "a_pattern_of_one_name_is_anchored",
    ],
    ["LyCORIS merge_to", "LoHa, alpha 1, r 4", "1/4, not 1/16", "loha_is_scaled_once"],
    [
        "lattice#261",
        "header alpha 1, tensor 4",
        "4",
        "without_alpha_the_scale_is_one_and_a_warning_says_so",
    ],
    // Shapes and convolutions
    ["LyCORIS PR#201", "any LoHa", "V3", "vector_v3_loha"],
    [
        "InvokeAI#3118",
        "LoHa with a core",
        "V4",
        "loha_tucker_reads_the_first_index_of_the_core_as_out",
    ],
    [
        "peft#3768, #3777",
        "Conv3d (1, 1, 3)",
        "the whole kernel counts",
        "kernels_of_three_dimensions",
    ],
    ["peft#3440", "LoHa, Conv2d(4, 4, 3, groups=2)", "in / groups", "grouped_convolutions"],
    ["peft#2403, #2567", "LoRA, groups 2", "refused", "grouped_convolutions"],
    ["peft#637", "LoRA, Conv1d", "V9", "lora_conv1d"],
    ["ComfyUI#206", "up (4, 2, 1, 1), down (2, 4, 3, 3)", "(4, 4, 3, 3)", "locon_of_a_kernel"],
    [
        "LoKr on Conv1d, whole w2",
        "V10",
        "PEFT's order, LyCORIS's order",
        "lokr_conv1d_in_both_orders",
    ],
    [
        "LoKr on Conv1d, whole w2",
        "V10",
        "the formula's in LyCORIS files",
        "a_conv1d_lokr_of_lycoris_has_the_order_of_the_formula",
    ],
    ["LyCORIS#221", "LoKr, alpha 1, r 2", "code and product alike", "lokr_runs_as_it_merges"],
    [
        "diffusers#11943, #3087",
        "lora_mid",
        "counts, or refused",
        "locon_with_a_core_is_not_a_locon_without_one",
    ],
    [
        "peft#554, #2071",
        "r 8, A (16, n)",
        "both numbers told",
        "hostile_rank_disagrees_with_config",
    ],
    [
        "ComfyUI#810, #1461, #6920",
        "another base",
        "one error, with counts",
        "a_file_for_another_base_is_one_clear_error",
    ],
    // DoRA
    ["peft#1588", "Conv1D 2x3", "norm of an output", "dora_on_conv1d"],
    ["peft#3532", "square Conv1D", "the transpose; 0 is the base", "dora_on_conv1d"],
    ["peft#2049, #3237, LyCORIS#166", "a row of zeros", "stays zero", "dora_leaves_a_row_of_zeros"],
    ["LyCORIS#246", "LoKr, dora_scale (m, 1)", "rows of length m", "dora_on_lokr"],
    ["LyCORIS#196, A1111#16151", "strength 0, 1", "W, W'", "dora_on_both_axes"],
    [
        "ComfyUI#3060, #4259, diffusers#7592",
        "spellings of a magnitude",
        "read, or refused",
        "spellings_of_a_magnitude",
    ],
    ["InvokeAI#9517", "x.magnitude", "of x", "spellings_of_a_magnitude"],
    // Names
    [
        "peft#1579, #1932, #2084, #2118, #998",
        "one `model.` too many",
        "the one that fits, or an error",
        "prefixes_that_one_side_has_are_bridged_where_only_one_fits",
    ],
    [
        "peft#1932, #2084",
        "_orig_mod, module",
        "taken off, and told",
        "other_spellings_of_names_are_read",
    ],
    [
        "peft#2252, #2699, #2772",
        "lora_A in a module's name",
        "read from the right",
        "suffixes_are_read_from_the_right",
    ],
    ["peft#3658", "target without tensors", "told", "a_target_without_tensors_is_told"],
    [
        "peft#3016, #3318, #3610",
        "layers_to_transform",
        "tensors decide",
        "modules_come_from_the_tensors",
    ],
    ["peft#2083, #2144", "20 short suffixes", "tensors decide", "modules_come_from_the_tensors"],
    [
        "diffusers#14006, #14080",
        "time_in_in_layer",
        "looked up",
        "names_are_looked_up_and_never_taken_apart",
    ],
    ["ComfyUI#4476", "lycoris_", "looked up", "names_are_looked_up_and_never_taken_apart"],
    [
        "sd-scripts#1753, supermerger#177, #459",
        "LoHa in a kohya file",
        "read",
        "deltas_and_merges_are_those_of_lycoris",
    ],
    [
        "sd-scripts#1402",
        "dim 100000",
        "1",
        "two_whole_lokr_factors_have_a_scale_of_one_whatever_alpha_says",
    ],
    [
        "peft#2710, #2527, vllm#52194, sglang#27381",
        "experts",
        "V7: 70, 220",
        "vector_v7_rows_of_a_lie_by_expert_and_columns_of_b_by_rank",
    ],
    [
        "peft#3340",
        "two parameters of a module",
        "told by shapes",
        "two_parameters_of_one_module_are_told_by_their_shapes",
    ],
    // Broken files, embeddings
    ["peft#460", "{}", "no adapter tensors", "hostile_no_adapter_tensors"],
    ["peft#1599", "cut short", "told", "hostile_truncated_file"],
    ["diffusers#3960, Fooocus#3399", "a web page", "told", "hostile_html_instead_of_a_file"],
    ["kohya_ss#1973", "a pointer file", "told", "hostile_lfs_pointer"],
    ["a header of gigabytes", "length 4e9", "nothing allocated", "hostile_header_claims_gigabytes"],
    ["a deep header or config", "100000 brackets", "refused", "hostile_config_is_no_object"],
    ["Infinity in a config", "Python's tokens", "named", "hostile_alpha_is_a_nan_token"],
    ["text that is no UTF-8", "a name, a config", "refused", "text_that_is_no_utf8"],
    [
        "markup in names",
        "<img onerror=...>",
        "a name like any other",
        "markup_is_a_name_like_any_other",
    ],
    ["100000 tensors", "one file", "two seconds", "hundred_thousand_factors"],
    [
        "peft#838, #1554, #2290, #2415",
        "another vocabulary",
        "replaces",
        "embeddings_that_peft_saves_along_replace_those_of_the_base",
    ],
    ["peft#436, #438", "embedding", "V2", "lora_embedding"],
    ["peft#3514", "a token twice", "refused", "trained_rows_of_an_embedding_are_rows_and_no_delta"],
    [
        "llama.cpp#11131, #6536",
        "token_embd, DoRA to GGUF",
        "named",
        "what_llama_cpp_cannot_apply_is_not_written",
    ],
    // Merging
    ["peft#1505", "an infinite sum", "an error, base as it was", "overflow_leaves_the_base"],
    [
        "peft#1388, #1035, trl#6688",
        "bf16, 1000 cycles",
        "the base to the bit",
        "merging_again_and_again_starts_from_the_base",
    ],
    [
        "peft#2502, #1836",
        "f16 base, f32 delta",
        "rounded once",
        "a_merge_rounds_once_and_refuses_overflow",
    ],
    ["mixed adapters", "LoRA, LoHa, LoKr", "the exact sum", "adapters_of_three_kinds_sum"],
    [
        "several DoRA adapters",
        "two orders",
        "one result",
        "deltas_of_one_weight_do_not_see_each_other",
    ],
    [
        "peft#1929, #1930, transformers#34468",
        "pissa",
        "refused",
        "hostile_settings_that_change_the_mathematics",
    ],
    ["cloneofsimo/lora#187", "a pickle", "refused by its first bytes", "hostile_other_files"],
    ["llama.cpp#3651", "ggla", "refused by its first bytes", "hostile_files_of_other_kinds"],
    // Combinations
    [
        "peft#3004, #3013",
        "V8",
        "cross terms in linear, none in cat",
        "linear_has_pefts_cross_terms_and_cat_has_none",
    ],
    [
        "peft#2796, sd-scripts#839",
        "weight -1",
        "the sign stays",
        "a_negative_weight_keeps_its_sign",
    ],
    ["peft#3111", "s 2, w 1", "2 B A", "each_scale_counts_once"],
    ["peft#3449, #3473", "rslora", "no second root", "each_scale_counts_once"],
    ["kohya_ss#128, #772, peft#2512", "r 4 and 8", "the sum", "different_ranks_and_scales_add_up"],
    ["peft#3769", "svd of convolutions", "layers stay", "biases_add_up_and_layers_stay"],
];

#[test]
fn every_report_has_its_test() {
    fn collect(folder: &Path, text: &mut String) {
        for entry in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
            match entry.extension() {
                None if entry.is_dir() => collect(&entry, text),
                Some(end) if end == "rs" => *text += &std::fs::read_to_string(&entry).unwrap(),
                _ => {}
            }
        }
    }
    let (root, mut text) = (Path::new(env!("CARGO_MANIFEST_DIR")), String::new());
    collect(&root.join("src"), &mut text);
    collect(&root.join("tests/native"), &mut text);
    let has = |test: &str| {
        text.contains(&format!("#[test]\nfn {test}()"))
            || text.contains(&format!("#[test]\n    fn {test}()"))
    };
    assert!(!has("no_such_test"));
    for [report, .., test] in REPORTS {
        assert!(has(test), "{report}: no test {test}");
    }
}

fn peft(config: Value, tensors: &[Stored]) -> Result<Adapter> {
    let mut whole = json!({ "peft_type": "LORA", "r": 1, "lora_alpha": 1, "alpha": 1 });
    for (field, value) in config.as_object().unwrap() {
        whole[field] = value.clone();
    }
    let files = Files::from_iter([
        ("adapter_config.json", whole.to_string().into_bytes()),
        ("adapter_model.safetensors", safetensors_file(tensors)),
    ]);
    read(&files, &Conventions::default())
}

fn kohya(tensors: &[Stored]) -> Result<Adapter> {
    let files = Files::from_iter([("a.safetensors", safetensors_file(tensors))]);
    read(&files, &Conventions::default())
}

fn ones(name: &str, shape: &[usize]) -> Stored {
    stored(name, shape, &vec![1.0; shape.iter().product()])
}

fn pair(module: &str, r: usize) -> [Stored; 2] {
    [
        ones(&format!("{module}.lora_A.weight"), &[r, 1]),
        ones(&format!("{module}.lora_B.weight"), &[1, r]),
    ]
}

fn zeros(shape: &[usize]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(vec![0.0; shape.iter().product()])).unwrap()
}

#[test]
fn lokr_is_scaled() {
    let w1 = stored("l.lokr_w1", &[2, 2], &[1., 2., 3., 4.]);
    let w2 = stored("l.lokr_w2", &[2, 2], &[1., 10., 100., 1000.]);
    let config = json!({ "peft_type": "LOKR", "alpha": 4 });
    let dw = peft(config, &[w1, w2]).unwrap().deltas["l"].materialise();
    let want: [[f64; 4]; 4] = [
        [1., 10., 2., 20.],
        [100., 1000., 200., 2000.],
        [3., 30., 4., 40.],
        [300., 3000., 400., 4000.],
    ];
    assert_eq!(dw, want.concat().iter().map(|v| 4.0 * v).collect::<Vec<_>>());
}

#[test]
fn alpha_tensors_count_by_module() {
    // The last is a fused qkv of rank 3 with the alpha of one part of rank 1.
    let modules = [("a", 32, 1.0), ("b", 16, 64.0), ("c", 4, 4.0), ("d", 8, 4.0), ("qkv", 3, 1.0)];
    let tensors: Vec<_> = modules
        .iter()
        .flat_map(|&(module, r, alpha)| {
            let name = |suffix: &str| format!("lora_unet_{module}.{suffix}");
            [
                ones(&name("lora_down.weight"), &[r, 1]),
                ones(&name("lora_up.weight"), &[1, r]),
                stored(&name("alpha"), &[], &[alpha]),
            ]
        })
        .collect();
    let adapter = kohya(&tensors).unwrap();
    let scales: Vec<_> = adapter.deltas.values().map(|delta| delta.scale).collect();
    assert_eq!(scales, [1.0 / 32.0, 4.0, 1.0, 0.5, 1.0 / 3.0]);
}

#[test]
fn scales_of_configs() {
    for (r, alpha, rslora, scale) in [(16, 16, true, 4.0), (8, 16, false, 2.0), (4, 1, true, 0.5)] {
        let config = json!({ "r": r, "lora_alpha": alpha, "use_rslora": rslora });
        let delta = &peft(config, &pair("l", r)).unwrap().deltas["l"];
        assert_eq!(delta.scale, scale);
        assert_eq!(delta.materialise(), [f64::from(scale) * r as f64]);
    }
}

#[test]
fn lora_bias_is_scaled() {
    let mut tensors = pair("l", 1).to_vec();
    tensors.push(ones("l.lora_B.bias", &[1]));
    let adapter = peft(json!({ "lora_bias": true, "lora_alpha": 2 }), &tensors).unwrap();
    let delta = &adapter.deltas["l"];
    assert_eq!((delta.bias.as_deref(), delta.scale), (Some(&[1.0][..]), 2.0));
}

#[test]
fn a_pattern_of_one_name_is_anchored() {
    let tensors = [pair("proj_out", 1), pair("b.0.proj_out", 2)].concat();
    let config = json!({ "r": 2, "rank_pattern": { "^proj_out": 1 } });
    let adapter = peft(config, &tensors).unwrap();
    let ranks: Vec<_> = adapter.deltas.values().map(|delta| delta.rank).collect();
    assert_eq!(ranks, [2, 1]);
    // Without the anchor PEFT gives both the rank, and the tensors disagree.
    let config = json!({ "r": 2, "rank_pattern": { "proj_out": 1 } });
    refused(peft(config, &tensors), "ShapeMismatch", &["b.0.proj_out", "rank 1", "rank 2"]);
}

#[test]
fn loha_is_scaled_once() {
    let factors = ["hada_w1_a", "hada_w2_a"].map(|name| ones(&format!("l.{name}"), &[1, 4]));
    let others = ["hada_w1_b", "hada_w2_b"].map(|name| ones(&format!("l.{name}"), &[4, 1]));
    let mut tensors = [factors, others].concat();
    tensors.push(stored("l.alpha", &[], &[1.0]));
    // (1 * 4) (1 * 4) / 4
    assert_eq!(kohya(&tensors).unwrap().deltas["l"].materialise(), [4.0]);
}

#[test]
fn kernels_of_three_dimensions() {
    let a = stored("l.lora_A.weight", &[1, 2, 1, 1, 3], &[1., 2., 3., 4., 5., 6.]);
    let b = stored("l.lora_B.weight", &[2, 1, 1, 1, 1], &[1., 10.]);
    let delta = &peft(json!({}), &[a, b]).unwrap().deltas["l"];
    let merged = delta.merge(&zeros(&[2, 2, 1, 1, 3]), 1.0, false).unwrap();
    assert_eq!(merged.to_f32(), [1., 2., 3., 4., 5., 6., 10., 20., 30., 40., 50., 60.]);
}

#[test]
fn grouped_convolutions() {
    // Of two input channels in each group: [4, 2, 3, 3].
    let name = |role: &str| format!("l.hada_{role}");
    let tensors = [
        ones(&name("w1_a"), &[4, 1]),
        ones(&name("w1_b"), &[1, 18]),
        ones(&name("w2_a"), &[4, 1]),
        ones(&name("w2_b"), &[1, 18]),
    ];
    let delta = &peft(json!({ "peft_type": "LOHA" }), &tensors).unwrap().deltas["l"];
    let merged = delta.merge(&zeros(&[4, 2, 3, 3]), 1.0, false).unwrap();
    assert_eq!(merged.to_f32(), [1.0; 72]);
    refused(delta.merge(&zeros(&[4, 4, 3, 3]), 1.0, false), "ShapeMismatch", &["[4, 4, 3, 3]"]);
    // PEFT's LoRA has B [out, r / groups], which it cannot merge either.
    let tensors = [ones("l.lora_A.weight", &[2, 4, 3, 3]), ones("l.lora_B.weight", &[4, 1, 1, 1])];
    refused(peft(json!({ "r": 2 }), &tensors), "ShapeMismatch", &["module l", "lora_B", "[4, 1]"]);
}

#[test]
fn locon_of_a_kernel() {
    let down: Vec<f32> = (0..72).map(|i| i as f32).collect();
    let tensors = [
        stored("l.lora_up.weight", &[4, 2, 1, 1], &[1., 0., 0., 1., 1., 1., 0., -1.]),
        stored("l.lora_down.weight", &[2, 4, 3, 3], &down),
        stored("l.alpha", &[], &[2.0]),
    ];
    let delta = &kohya(&tensors).unwrap().deltas["l"];
    let merged = delta.merge(&zeros(&[4, 4, 3, 3]), 1.0, false).unwrap().to_f32();
    let rows: Vec<f32> = merged.chunks(36).map(|row| row[5]).collect();
    assert_eq!(rows, [5., 41., 46., -41.]);
}

#[test]
fn lokr_runs_as_it_merges() {
    let tensors = [
        stored("l.lokr_w1", &[1, 2], &[1., 3.]),
        stored("l.lokr_w2_a", &[2, 2], &[1., 0., 0., 1.]),
        stored("l.lokr_w2_b", &[2, 2], &[1., 2., 3., 4.]),
        stored("l.alpha", &[], &[1.0]),
    ];
    let delta = &kohya(&tensors).unwrap().deltas["l"];
    assert_eq!(delta.materialise(), [0.5, 1., 1.5, 3., 1.5, 2., 4.5, 6.]);
    assert_eq!(delta.apply(&[1., 1., 1., 1.]), [6., 14.]);
}

fn lora(a: Matrix, b: Matrix, scale: f32) -> Delta {
    Delta::new(Factors::Lora(Lora::new(a, b).unwrap()), 1, scale, scale)
}

fn matrix(rows: usize, numbers: &[f32]) -> Matrix {
    Matrix::new(rows, numbers.len() / rows, numbers.to_vec()).unwrap()
}

fn tensor(shape: &[usize], numbers: &[f32]) -> Tensor {
    Tensor::new(shape.to_vec(), Data::F32(numbers.to_vec())).unwrap()
}

#[test]
fn dora_on_conv1d() {
    // W + dW = [[3, 0, 4], [0, 5, 12]] as [out, in]; lengths 5 and 13.
    let mut delta = lora(matrix(1, &[0., 1., 0.]), matrix(2, &[-1., 1.]), 1.0);
    delta.magnitude = Some(Magnitude { values: vec![10., 26.], axis: Axis::Out });
    let stored = tensor(&[3, 2], &[3., 0., 1., 4., 4., 12.]);
    let merged = delta.merge(&stored, 1.0, true).unwrap();
    assert_eq!(merged.to_f32(), [6., 0., 0., 10., 8., 24.]);
    // Square: the base alone tells, and strength 0 is the base.
    let mut delta = lora(matrix(1, &[0., 1.]), matrix(2, &[0., -2.]), 1.0);
    delta.magnitude = Some(Magnitude { values: vec![10., 6.], axis: Axis::Out });
    let stored = tensor(&[2, 2], &[3., 0., 4., 5.]);
    assert_eq!(delta.merge(&stored, 1.0, true).unwrap().to_f32(), [6., 0., 8., 6.]);
    assert_eq!(delta.merge(&stored, 0.0, true).unwrap(), stored);
}

#[test]
fn dora_on_lokr() {
    let tensors = [
        ones("l.lokr_w1", &[1, 1]),
        stored("l.lokr_w2", &[2, 2], &[0., 0., 0., -2.]),
        stored("l.dora_scale", &[2, 1], &[10., 6.]),
    ];
    let delta = &kohya(&tensors).unwrap().deltas["l"];
    let merged = delta.merge(&tensor(&[2, 2], &[3., 4., 0., 5.]), 1.0, false).unwrap();
    assert_eq!(merged.to_f32(), [6., 8., 0., 6.]);
}

#[test]
fn spellings_of_a_magnitude() {
    let with = |name: &str| {
        let mut tensors = pair("m.l", 1).to_vec();
        tensors.push(stored(&format!("m.l.{name}"), &[1], &[3.0]));
        kohya(&tensors)
    };
    for name in ["lora_magnitude_vector", "lora_magnitude_vector.weight", "magnitude", "dora_scale"]
    {
        let adapter = with(name).unwrap();
        assert_eq!(adapter.deltas.keys().collect::<Vec<_>>(), ["m.l"], "{name}");
        assert_eq!(adapter.deltas["m.l"].magnitude.as_ref().unwrap().values, [3.0], "{name}");
    }
    for name in ["lora_magnitude", "dora_magnitude", "dora_scale.bias", "m"] {
        refused(with(name), "UnknownTensor", &[&format!("m.l.{name}")]);
    }
}

#[test]
fn modules_come_from_the_tensors() {
    let modules = ["layers.0.q_proj", "model.layers.1.mlp.experts.0.w1"];
    let tensors = modules.map(|module| pair(module, 1)).concat();
    let config = json!({
        "layers_to_transform": [7], "layers_pattern": "layers", "target_modules": ["1", "j"],
        "exclude_modules": ["w1"],
    });
    let adapter = peft(config, &tensors).unwrap();
    assert_eq!(adapter.deltas.keys().collect::<Vec<_>>(), modules);
}

#[test]
fn text_that_is_no_utf8() {
    let entry = r#":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}"#;
    let tensors = |name: &[u8]| {
        let header = [b"{\"", name, b"\"", entry.as_bytes()].concat();
        let length = (header.len() as u64).to_le_bytes();
        let bytes = [&length[..], &header, &[0; 4]].concat();
        Tensors::parse("f", &bytes).map(|tensors| tensors.names())
    };
    assert_eq!(tensors("l\u{e9}".as_bytes()).unwrap(), ["l\u{e9}"]);
    for name in [&b"l\xe9"[..], b"l\\ud800", b"l\xc0\x80", b"l\0"] {
        refused(tensors(name), "BadFile", &["header"]);
    }
    let files = Files::from_iter([
        ("adapter_config.json", b"{\"peft_type\": \"LOR\xff\"}".to_vec()),
        ("adapter_model.safetensors", safetensors_file(&pair("l", 1))),
    ]);
    refused(read(&files, &Conventions::default()), "BadFile", &["adapter_config.json"]);
}

#[test]
fn markup_is_a_name_like_any_other() {
    let name = "<img src=x onerror=alert(1)>";
    let tensors = pair(name, 1);
    let bytes = safetensors_with(&tensors, &json!({ "ss_output_name": name }));
    let tensors = Tensors::parse("f", &bytes).unwrap();
    let file = AdapterFile::open(None, tensors, &Conventions::default()).unwrap();
    assert_eq!(file.modules().collect::<Vec<_>>(), [name]);
    assert_eq!(file.tensors().metadata()["ss_output_name"], name);
    let lost = stored(&format!("{name}.diff"), &[1], &[1.0]);
    refused(kohya(&[lost]), "UnknownTensor", &[name]);
}

#[test]
fn hundred_thousand_factors() {
    let mut header = String::from("{");
    for i in 0..50_000 {
        let at = 8 * i;
        header += &format!(
            r#""base_model.model.layers.{i}.q.lora_A.weight":{{"dtype":"F32","shape":[1,1],"data_offsets":[{at},{}]}},"base_model.model.layers.{i}.q.lora_B.weight":{{"dtype":"F32","shape":[1,1],"data_offsets":[{},{}]}},"#,
            at + 4,
            at + 4,
            at + 8
        );
    }
    header.pop();
    let bytes = with_header(&(header + "}"), &vec![0; 400_000]);
    let config = br#"{"peft_type":"LORA","r":1,"lora_alpha":1,"target_modules":["q"]}"#;
    for config in [None, Some(("adapter_config.json", &config[..]))] {
        let start = std::time::Instant::now();
        let tensors = Tensors::parse("f", &bytes).unwrap();
        let file = AdapterFile::open(config, tensors, &Conventions::default()).unwrap();
        let parameters: usize =
            file.modules().map(|module| file.outline(module).unwrap().parameters()).sum();
        assert_eq!(parameters, 100_000);
        // A quadratic reader takes minutes.
        assert!(start.elapsed().as_millis() < 2000, "{:?}", start.elapsed());
    }
}

#[test]
fn a_rank_for_each_of_thousands_of_modules() {
    let names: Vec<String> = (0..3000).map(|i| format!("model.layers.{i}.mlp.up_proj")).collect();
    let tensors: Vec<Stored> = names.iter().flat_map(|name| pair(name, 1)).collect();
    let ranks: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!(1))).collect();
    let start = std::time::Instant::now();
    let config = json!({ "r": 8, "rank_pattern": ranks, "alpha_pattern": ranks });
    assert_eq!(peft(config, &tensors).unwrap().deltas.len(), 3000);
    // A regular expression for each key would take forty seconds.
    assert!(start.elapsed().as_secs() < 5, "{:?}", start.elapsed());
}

#[test]
fn overflow_leaves_the_base() {
    let half = |v: f32| half::f16::from_f32(v).to_bits();
    let base = Tensor::new(vec![1, 1], Data::F16(vec![half(60_000.0)])).unwrap();
    let loha = ["w1_a", "w1_b", "w2_a", "w2_b"];
    let loha = loha.map(|role| stored(&format!("l.hada_{role}"), &[1, 1], &[10.0]));
    let lokr = ["w1", "w2"].map(|role| stored(&format!("l.lokr_{role}"), &[1, 1], &[100.0]));
    for tensors in [&loha[..], &lokr[..]] {
        let adapter = kohya(tensors).unwrap();
        let before = base.clone();
        refused(adapter.deltas["l"].merge(&base, 1.0, false), "NotFinite", &["F16", "70000"]);
        assert_eq!(base, before);
    }
}

#[test]
fn merging_again_and_again_starts_from_the_base() {
    let bits = |v: f32| half::bf16::from_f32(v).to_bits();
    let base = Tensor::new(vec![1, 2], Data::BF16(vec![bits(1.0), bits(0.3)])).unwrap();
    // One number moves by less than half a step of bf16, the other by more.
    let delta = lora(matrix(1, &[1.0 / 512.0, 1.0 / 512.0]), matrix(1, &[1.0]), 1.0);
    let want = [bits(1.0), bits(half::bf16::from_f32(0.3).to_f32() + 1.0 / 512.0)];
    for _ in 0..1000 {
        let merged = delta.merge(&base, 1.0, false).unwrap();
        assert_eq!(merged.data(), &Data::BF16(want.to_vec()));
        assert_eq!(delta.merge(&base, 0.0, false).unwrap(), base);
    }
}

#[test]
fn adapters_of_three_kinds_sum() {
    let lora = peft(json!({ "lora_alpha": 2 }), &pair("l", 1)).unwrap();
    let loha = ["w1_a", "w1_b", "w2_a", "w2_b"];
    let loha = loha.map(|role| stored(&format!("l.hada_{role}"), &[1, 1], &[2.0]));
    let loha = kohya(&loha).unwrap();
    let lokr = ["w1", "w2"].map(|role| stored(&format!("l.lokr_{role}"), &[1, 1], &[3.0]));
    let lokr = kohya(&lokr).unwrap();
    let deltas = [&lora, &loha, &lokr].map(|adapter| &adapter.deltas["l"]);
    assert!(deltas.iter().all(|delta| delta.layer == Layer::Linear));
    let [a, b, c] = deltas;
    let merged = merge(&tensor(&[1, 1], &[0.5]), &[(a, 1.0), (b, 0.5), (c, -2.0)], false).unwrap();
    // 0.5 + 2 + 16 / 2 - 2 * 9
    assert_eq!(merged.to_f32(), [-7.5]);
}
