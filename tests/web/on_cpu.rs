//! Every trial on the CPU backend in wasm.

use crate::trials::{cases, families, kernels, places, products};
use wasm_bindgen_test::wasm_bindgen_test;

macro_rules! run {
    ($room:ident::$trial:ident) => {
        #[wasm_bindgen_test]
        async fn $trial() {
            $room::$trial(lokahi::cpu::Cpu::default()).await;
        }
    };
}

crate::trials!(run);
