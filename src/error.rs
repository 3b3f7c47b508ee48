//! Every way in which this crate can refuse. An error says what was expected, what came, and
//! where; [`Error::code`] is stable and crosses into JavaScript as `error.code`.

/// The result of everything in this crate that can refuse.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What went wrong, where, and what was expected instead.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// The bytes are not the file they should be: truncated, a web page, a pointer file.
    #[error("{file}: expected {expected}, got {got}")]
    BadFile {
        /// File name as the caller gave it.
        file: String,
        /// What the bytes should have been.
        expected: String,
        /// What they are.
        got: String,
    },
    /// A file that a folder must hold is not there.
    #[error("missing file {file}: the folder holds {found}")]
    MissingFile {
        /// The file that was looked for.
        file: String,
        /// The names that are there.
        found: String,
    },
    /// A JSON field is absent, of the wrong type or out of range.
    #[error("{file}: field `{field}`: expected {expected}, got {got}")]
    BadConfig {
        /// File name.
        file: String,
        /// Field in the file.
        field: String,
        /// What the field should hold.
        expected: String,
        /// What it holds.
        got: String,
    },
    /// A tensor that must be there is not.
    #[error("module {module}: missing tensor {tensor}")]
    MissingTensor {
        /// Module that needs the tensor.
        module: String,
        /// Name of the tensor.
        tensor: String,
    },
    /// A tensor is there that nothing in this crate reads; skipping it would change the result.
    #[error("unknown tensor {tensor}: {reason}")]
    UnknownTensor {
        /// Name of the tensor as in the file.
        tensor: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// A shape does not fit.
    #[error("{what}: expected shape {expected}, got {got}")]
    ShapeMismatch {
        /// Tensor, module or argument.
        what: String,
        /// Expected shape.
        expected: String,
        /// Shape that came.
        got: String,
    },
    /// NaN or infinity where a number is needed.
    #[error("{what}: element {index} is {value}, expected a finite number")]
    NotFinite {
        /// Tensor or argument.
        what: String,
        /// Flat row-major index of the first such element.
        index: usize,
        /// `NaN`, `inf` or `-inf`.
        value: String,
    },
    /// The adapter was made for another model.
    #[error(
        "the adapter does not fit this model: {matched} of {total} modules match; \
         first that does not: {example}"
    )]
    BaseMismatch {
        /// Modules that exist in the model with the right shape.
        matched: usize,
        /// Modules in the adapter.
        total: usize,
        /// First module that does not fit, and why.
        example: String,
    },
    /// Something that changes the mathematics and is not built here.
    #[error("{what} is not supported: got {got}, supported: {supported}")]
    Unsupported {
        /// Setting, architecture or method.
        what: String,
        /// Its value.
        got: String,
        /// Values that work.
        supported: String,
    },
    /// An argument of a call is out of range.
    #[error("argument `{name}`: expected {expected}, got {got}")]
    BadArgument {
        /// Argument name.
        name: String,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// An iteration did not end within its limit of steps.
    #[error("{what} did not converge within {steps} steps")]
    NoConvergence {
        /// What was computed.
        what: String,
        /// The limit.
        steps: usize,
    },
    /// No adapter of that name is loaded.
    #[error("no adapter named {name:?}; loaded: {loaded}")]
    UnknownAdapter {
        /// Name that was asked for.
        name: String,
        /// Names that are loaded.
        loaded: String,
    },
    /// An adapter of that name is already loaded.
    #[error("an adapter named {name:?} is already loaded; delete it first or choose another name")]
    AdapterExists {
        /// The name.
        name: String,
    },
    /// Adapters are merged; unmerge before changing them.
    #[error("adapters are merged ({merged}): call unmerge before {action}")]
    Merged {
        /// What is merged.
        merged: String,
        /// What was asked for.
        action: String,
    },
    /// More tokens than the context holds.
    #[error("{tokens} tokens do not fit the context of {context}")]
    ContextFull {
        /// Tokens that would be needed.
        tokens: usize,
        /// Tokens that fit.
        context: usize,
    },
    /// No usable GPU, or the GPU refused.
    #[error("GPU: {reason}")]
    Device {
        /// What the GPU or the browser said.
        reason: String,
    },
    /// The GPU device was lost; rebuild the engine.
    #[error("the GPU device was lost: {reason}")]
    DeviceLost {
        /// What the browser said.
        reason: String,
    },
}

impl Error {
    /// The stable name of this kind of error.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::BadFile { .. } => "BadFile",
            Self::MissingFile { .. } => "MissingFile",
            Self::BadConfig { .. } => "BadConfig",
            Self::MissingTensor { .. } => "MissingTensor",
            Self::UnknownTensor { .. } => "UnknownTensor",
            Self::ShapeMismatch { .. } => "ShapeMismatch",
            Self::NotFinite { .. } => "NotFinite",
            Self::BaseMismatch { .. } => "BaseMismatch",
            Self::Unsupported { .. } => "Unsupported",
            Self::BadArgument { .. } => "BadArgument",
            Self::NoConvergence { .. } => "NoConvergence",
            Self::UnknownAdapter { .. } => "UnknownAdapter",
            Self::AdapterExists { .. } => "AdapterExists",
            Self::Merged { .. } => "Merged",
            Self::ContextFull { .. } => "ContextFull",
            Self::Device { .. } => "Device",
            Self::DeviceLost { .. } => "DeviceLost",
        }
    }

    /// A [`Error::ShapeMismatch`] from two shapes.
    pub(crate) fn shape(what: impl Into<String>, expected: &[usize], got: &[usize]) -> Self {
        Self::ShapeMismatch {
            what: what.into(),
            expected: format!("{expected:?}"),
            got: format!("{got:?}"),
        }
    }

    /// A [`Error::MissingTensor`] of a model, by its full name: the module is what its name begins
    /// with.
    pub(crate) fn missing(tensor: String) -> Self {
        let module = tensor.rsplit_once('.').map_or(&*tensor, |(module, _)| module).to_owned();
        Self::MissingTensor { module, tensor }
    }

    /// A [`Error::BadArgument`].
    pub(crate) fn argument(
        name: impl Into<String>,
        expected: impl Into<String>,
        got: impl ToString,
    ) -> Self {
        Self::BadArgument { name: name.into(), expected: expected.into(), got: got.to_string() }
    }
}
