//! Every trial on a native GPU: a real one, or lavapipe (`apt-get install mesa-vulkan-drivers`).
//! Without any the tests fail; `LOKAHI_NO_GPU=1` skips them and says so.

use crate::trials::{cases, kernels, places};
use lokahi::gpu::{Device, Gpu};

fn gpu() -> Option<Gpu> {
    if std::env::var_os("LOKAHI_NO_GPU").is_some() {
        eprintln!("skipped: LOKAHI_NO_GPU is set");
        return None;
    }
    Some(pollster::block_on(Device::open()).expect("a Vulkan device").backend())
}

macro_rules! run {
    ($room:ident::$trial:ident) => {
        #[test]
        fn $trial() {
            if let Some(gpu) = gpu() {
                pollster::block_on($room::$trial(gpu));
            }
        }
    };
}

crate::trials!(run);
