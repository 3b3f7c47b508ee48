//! The same trials on every backend: the f64 oracle says what is right, and `native` and `web` run
//! each trial on the CPU, on a native GPU and on the browser's.

pub mod cases;
pub mod compare;
pub mod families;
pub mod fixtures;
pub mod kernels;
pub mod oracle;
pub mod places;
pub mod products;

use lokahi::backend::Backend;

/// Calls `$run!(room::trial)` for every trial.
#[macro_export]
macro_rules! trials {
    ($run:ident) => {
        $crate::trials!(@each $run;
            kernels: add_norm, argmax, attention, embed, head_norm, linear, linear_one, loha_down_up,
                loha_merge, lokr_down_up, lokr_merge, lora_down_up, lora_merge, many_deltas, merge,
                mixed_deltas, readers_of_products, rms_norm, rope, silu_mul, stacked_weights, up,
                wide_dispatch;
            cases: deltas_merged_weights_and_products;
            places: logits_of_every_adapter, greedy_names, unmerging_is_exact_to_the_bit,
                mixing_adds_deltas, steps_equal_the_whole_text;
            products: forms_of_a_product, probes_run;
            families: llama_untied, llama_rope_llama3, llama_bias_headdim, qwen2, qwen3, mistral,
                biases_of_adapters);
    };
    (@each $run:ident; $($room:ident: $($trial:ident),+);+) => {
        $($($run!($room::$trial);)+)+
    };
}

/// Two backends side by side would hide which one failed: every message names its backend.
pub fn name<B: Backend>() -> &'static str {
    std::any::type_name::<B>()
}
