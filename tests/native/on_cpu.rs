//! Every trial on the CPU backend.

use crate::trials::{cases, families, kernels, places, products};

macro_rules! run {
    ($room:ident::$trial:ident) => {
        #[test]
        fn $trial() {
            pollster::block_on($room::$trial(lokahi::cpu::Cpu::default()));
        }
    };
}

crate::trials!(run);
