//! The kernel table: one line a kernel. Each has a shader `shaders/NAME.wgsl`, a CPU twin
//! `src/cpu/NAME.rs`, and for each dtype of its weight a variant.

use crate::tensor::DType;

/// How a kernel uses one of its bindings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// `var<storage, read>`.
    Read,
    /// `var<storage, read_write>`.
    Write,
}

/// One line of the table.
#[derive(Debug)]
pub struct Spec {
    /// Name of the shader file.
    pub name: &'static str,
    /// Text of the shader file, without comments and indentation.
    pub source: &'static str,
    /// Text of `shaders/common/NAME.wgsl` that the shader builds on.
    pub common: &'static [&'static [&'static str]],
    /// Whether the shader reads a weight, and so has a variant for each dtype.
    pub reads_weight: bool,
    /// The storage bindings 1, 2, ... ; binding 0 is the uniform struct.
    pub bindings: &'static [Access],
}

/// Text of a shader as it is shipped: without comments and indentation: they were two fifths of it
/// in gzip. Its lines stay, so that a compiler names the right one.
macro_rules! shader {
    ($name:expr) => {{
        const TEXT: &str = include_str!(concat!("../../shaders/", $name, ".wgsl"));
        const BARE: [u8; bare::<{ TEXT.len() }>(TEXT).1] = bare(TEXT).0;
        const SHIPPED: &str = match str::from_utf8(&BARE) {
            Ok(text) => text,
            Err(_) => panic!("a shader is text"),
        };
        SHIPPED
    }};
}

/// The first `N` bytes of the bare text, and how many there are.
const fn bare<const N: usize>(text: &str) -> ([u8; N], usize) {
    let text = text.as_bytes();
    let mut out = [0; N];
    let (mut from, mut len, mut first, mut comment) = (0, 0, true, false);
    while from < text.len() {
        let byte = text[from];
        first = if byte == b'\n' { true } else { first && byte == b' ' };
        comment = byte != b'\n'
            && (comment || byte == b'/' && from + 1 < text.len() && text[from + 1] == b'/');
        from += 1;
        if comment || first && byte == b' ' {
            continue;
        }
        if len < N {
            out[len] = byte;
        }
        len += 1;
    }
    (out, len)
}

const INDEX: &[&str] = &[shader!("common/index")];
const INVERSE_RMS: &[&str] = &[shader!("common/inverse_rms")];
const DELTAS: &[&str] = &[shader!("common/deltas")];
/// One verb of every method, and what chooses among them.
const DOWN: &[&str] = &[
    shader!("common/lora_down"),
    shader!("common/loha_down"),
    shader!("common/lokr_down"),
    shader!("common/down"),
];
const UP: &[&str] = &[
    shader!("common/lora_up"),
    shader!("common/loha_up"),
    shader!("common/lokr_up"),
    shader!("common/up"),
];
const MERGE: &[&str] =
    &[shader!("common/lora_merge"), shader!("common/loha_merge"), shader!("common/lokr_merge")];
const WEIGHT_F32: &str = shader!("common/weight_f32");
const WEIGHT_F16: &str = shader!("common/weight_f16");
const LINEAR: &[&str] = &[shader!("common/linear")];
const WEIGHT_BF16: &str = shader!("common/weight_bf16");
const WEIGHT_Q8_0: &str = shader!("common/weight_q8_0");
const WEIGHT_Q4_1: &str = shader!("common/weight_q4_1");

macro_rules! kernels {
    ($($kernel:ident = $name:literal, [$($common:ident),*], $weight:literal, [$($access:ident),*];)*) => {
        /// A kernel of the table.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[allow(missing_docs, reason = "each is described in its shader")]
        pub enum Kernel { $($kernel),* }

        impl Kernel {
            /// Every kernel.
            pub const ALL: &'static [Kernel] = &[$(Kernel::$kernel),*];

            /// The kernel's line of the table.
            #[must_use]
            pub fn spec(self) -> &'static Spec {
                match self {
                    $(Self::$kernel => &Spec {
                        name: $name,
                        source: shader!($name),
                        common: &[$($common),*],
                        reads_weight: $weight,
                        bindings: &[$(Access::$access),*],
                    }),*
                }
            }
        }
    };
}

kernels! {
    AddNorm = "add_norm", [INVERSE_RMS, DELTAS, UP], false,
        [Read, Read, Read, Read, Write, Read, Read, Write];
    Argmax = "argmax", [], false, [Read, Write];
    Attention = "attention", [], false, [Read, Read, Read, Write];
    Embed = "embed", [INDEX], true, [Read, Read, Write];
    HeadNorm = "head_norm", [INVERSE_RMS, DELTAS, UP], false, [Read, Read, Read, Read, Write, Read];
    Linear = "linear", [INDEX, DELTAS, DOWN, LINEAR], true,
        [Read, Read, Read, Write, Read, Read, Read, Write];
    LinearOne = "linear_one", [INDEX, DELTAS, DOWN, LINEAR], true,
        [Read, Read, Read, Write, Read, Read, Read, Write];
    Merge = "merge", [INDEX, DELTAS, MERGE], true, [Read, Read, Read, Read, Write];
    RmsNorm = "rms_norm", [INVERSE_RMS], false, [Read, Read, Write];
    Rope = "rope", [INDEX, DELTAS, UP], false, [Read, Read, Read, Read, Write, Read, Write, Write];
    SiluMul = "silu_mul", [INDEX, DELTAS, UP], false, [Read, Read, Read, Read, Read, Write];
    Up = "up", [INDEX, DELTAS, UP], false, [Read, Read, Read, Read, Write];
}

/// A kernel for one dtype of the weight it reads; `F32` where it reads none.
pub type Variant = (Kernel, DType);

impl Kernel {
    /// Every variant of this kernel.
    #[must_use]
    pub fn variants(self) -> &'static [DType] {
        const WEIGHTS: &[DType] = &[DType::F32, DType::F16, DType::BF16, DType::Q8_0, DType::Q4_1];
        if self.spec().reads_weight { WEIGHTS } else { &WEIGHTS[..1] }
    }

    /// The whole WGSL text of a variant: plain concatenation.
    #[must_use]
    pub fn wgsl(self, weight: DType) -> String {
        let spec = self.spec();
        let mut text = spec.common.concat().concat();
        if spec.reads_weight {
            text += match weight {
                DType::F32 => WEIGHT_F32,
                DType::F16 => WEIGHT_F16,
                DType::BF16 => WEIGHT_BF16,
                DType::Q8_0 => WEIGHT_Q8_0,
                DType::Q4_1 => WEIGHT_Q4_1,
            };
        }
        text + spec.source
    }
}
