//! Every trial on a native GPU: a real one, or lavapipe (`apt-get install mesa-vulkan-drivers`).
//! Without any, the tests fail.

use crate::trials::{cases, families, kernels, places, products};
use lokahi::gpu::Device;

macro_rules! run {
    ($room:ident::$trial:ident) => {
        #[test]
        fn $trial() {
            let device = pollster::block_on(Device::open()).expect("a Vulkan device");
            pollster::block_on($room::$trial(device.backend()));
        }
    };
}

crate::trials!(run);
