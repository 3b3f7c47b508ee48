//! The trait that both backends implement, and nothing else.
//!
//! A kernel call records work; only [`Backend::read`] hands numbers back. The future it returns
//! borrows nothing, so a caller may change adapters while a result is on its way. Sizes are
//! checked by the caller (the model), which knows the names to put into an error.

use std::{future::Future, ops::Range};

use crate::{
    Result,
    adapter::Delta,
    memory::Memory,
    tensor::{DType, Tensor},
};

/// How attention splits its projections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Number of query heads.
    pub query: usize,
    /// Number of key and value heads; each serves `query / key_value` query heads.
    pub key_value: usize,
    /// Numbers in one head.
    pub size: usize,
}

impl Heads {
    /// Width of one row of `[q; k; v]`.
    #[must_use]
    pub fn qkv(&self) -> usize {
        (self.query + 2 * self.key_value) * self.size
    }
}

/// The tokens of one text among the rows of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// Its rows in the buffers of the step.
    pub rows: Range<usize>,
    /// Position in the text of the first of them.
    pub start: usize,
}

/// The deltas of the loaded adapters on one product, as they run in a step.
///
/// [`Backend::linears`] takes them and may leave a part of their work to the kernel that reads the
/// product next; that kernel takes them too. A GPU computes the codes `z = down(x)` inside the
/// product and adds `up(z)` where the product is read, so that adapters take no dispatch of their
/// own. A backend for which a further loop costs nothing adds everything at once.
pub struct Added<'a, B: Backend + ?Sized> {
    /// The uploaded factors.
    pub deltas: &'a B::Deltas,
    /// The user's sliders, on top of each delta's own scale: `[.., adapters]`; 0 is off.
    pub strengths: &'a B::Buffer,
    /// Which adapters are on for any token.
    pub active: &'a [bool],
    /// Row of `strengths` for the first token.
    pub first: usize,
    /// Numbers in a row of `strengths`; 0 where all tokens share the first row.
    pub width: usize,
    /// The weight holds the deltas already: only their biases are left to add.
    pub merged: bool,
}

impl<B: Backend + ?Sized> Clone for Added<'_, B> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: Backend + ?Sized> Copy for Added<'_, B> {}

/// Memory and kernels. Buffers are f32, row-major; `rows` is the number of tokens.
pub trait Backend {
    /// f32 numbers: activations, norms, caches.
    type Buffer;
    /// A frozen matrix `[out, in]` in its stored dtype.
    type Weight;
    /// The deltas of any number of adapters on one weight.
    type Deltas: Default;
    /// A result on its way.
    type Reading: Future<Output = Result<Vec<f32>>> + 'static;

    /// What is held at this time: weights and deltas, and on a GPU all other buffers too.
    fn memory(&self) -> Memory;
    /// A buffer of `len` zeros.
    fn zeros(&mut self, len: usize) -> Result<Self::Buffer>;
    /// A buffer that holds `data`.
    fn upload(&mut self, data: &[f32]) -> Result<Self::Buffer>;
    /// Matrices `[out_p, in]` of one `in`, stacked along `out`, in their stored dtype (f32 where
    /// they differ).
    fn weight(&mut self, parts: &[&Tensor]) -> Result<Self::Weight>;
    /// Compiles, while the other weights of a model come, what its products with weights of this
    /// dtype run by; else the first step would wait for it.
    fn warm(&mut self, _dtype: DType) {}
    /// Writes to the start of a buffer.
    fn write(&mut self, buffer: &mut Self::Buffer, data: &[f32]);
    /// `deltas`, and with them those of one more adapter on the same weight: each with its first
    /// output row. `adapter` is its column of strengths.
    fn load(
        &mut self,
        deltas: &Self::Deltas,
        adapter: usize,
        new: &[(usize, &Delta)],
    ) -> Result<Self::Deltas>;
    /// Lets go of the deltas of an adapter.
    fn unload(&mut self, deltas: &mut Self::Deltas, adapter: usize) -> Result<()>;
    /// Starts to read `len` numbers from `first` on.
    fn read(&mut self, buffer: &Self::Buffer, first: usize, len: usize) -> Self::Reading;
    /// Starts to read a whole matrix `[out, in]` as f32.
    fn read_weight(&mut self, weight: &Self::Weight) -> Self::Reading;

    /// `W + sum of strength * scale * dW` in f32, in new memory, by the first row of strengths;
    /// `weight` stays as it is.
    fn merge(&mut self, weight: &Self::Weight, added: Added<'_, Self>) -> Result<Self::Weight>;

    /// `out[t] = table[ids[t]]`: `table` `[vocabulary, hidden]`, `out` `[rows, hidden]`.
    fn embed(&mut self, table: &Self::Weight, ids: &[u32], out: &mut Self::Buffer) -> Result<()>;

    /// `out = x / rms(x) * weight` for these rows of `x`: `x` `[.., width]`, `weight` `[width]`,
    /// `out` `[rows, width]`; `rms = sqrt(mean of squares + epsilon)`.
    fn rms_norm(
        &mut self,
        x: &Self::Buffer,
        rows: Range<usize>,
        weight: &Self::Buffer,
        width: usize,
        epsilon: f32,
        out: &mut Self::Buffer,
    );

    /// `x += y` for these rows of both, with the deltas of the product `y`; then `out` is their norm
    /// as in [`Backend::rms_norm`]: `x`, `y` `[.., width]`, `out` `[rows, width]`.
    #[allow(clippy::too_many_arguments, reason = "a kernel's bindings, one argument each")]
    fn add_norm(
        &mut self,
        x: &mut Self::Buffer,
        y: &Self::Buffer,
        added: Option<Added<'_, Self>>,
        rows: Range<usize>,
        weight: &Self::Buffer,
        width: usize,
        epsilon: f32,
        out: &mut Self::Buffer,
    );

    /// `y[t] = W x[t] + bias + sum of strength * scale * up(down(x[t]))`: `x` `[rows, in]`, `bias`
    /// `[out]`, `y` `[rows, out]`. `W` holds all projections that read the same input. Until the
    /// kernel that takes `y` next has run with the same `added`, `y` may lack what they add.
    fn linears(
        &mut self,
        weight: &Self::Weight,
        bias: Option<&Self::Buffer>,
        added: Option<Added<'_, Self>>,
        x: &Self::Buffer,
        rows: usize,
        y: &mut Self::Buffer,
    ) -> Result<()>;

    /// Adds to a product `y` `[rows, width]` what its deltas lack, where no kernel that takes them
    /// comes next.
    fn up(&mut self, added: Added<'_, Self>, rows: usize, width: usize, y: &mut Self::Buffer);

    /// Root mean square norm of every query head and every key head of `qkv` `[rows,
    /// heads.qkv()]`, in place, as in [`Backend::rms_norm`]: `weight` `[2, size]` for queries, then
    /// for keys.
    fn head_norm(
        &mut self,
        qkv: &mut Self::Buffer,
        added: Option<Added<'_, Self>>,
        heads: Heads,
        rows: usize,
        weight: &Self::Buffer,
        epsilon: f32,
    );

    /// Rotary positions, halves form: rotates `q` inside the rows of `qkv` `[.., heads.qkv()]`,
    /// and writes rotated `k` and `v` at their positions into the caches `[context, key_value *
    /// size]`. `table` `[context, size / 2, 2]` holds cosine and sine.
    #[allow(clippy::too_many_arguments, reason = "a kernel's bindings, one argument each")]
    fn rope(
        &mut self,
        qkv: &mut Self::Buffer,
        added: Option<Added<'_, Self>>,
        heads: Heads,
        table: &Self::Buffer,
        span: &Span,
        keys: &mut Self::Buffer,
        values: &mut Self::Buffer,
    );

    /// Causal attention of the rows over the caches: `out` `[.., query * size]`, `softmax(q k^T /
    /// sqrt(size)) v`. With a window, a token sees so many positions, its own among them.
    #[allow(clippy::too_many_arguments, reason = "a kernel's bindings, one argument each")]
    fn attention(
        &mut self,
        qkv: &Self::Buffer,
        heads: Heads,
        keys: &Self::Buffer,
        values: &Self::Buffer,
        span: &Span,
        window: Option<usize>,
        out: &mut Self::Buffer,
    );

    /// `out = silu(gate) * up`: `gate_up` `[rows, 2 * width]`, `out` `[rows, width]`.
    fn silu_mul(
        &mut self,
        gate_up: &Self::Buffer,
        added: Option<Added<'_, Self>>,
        rows: usize,
        width: usize,
        out: &mut Self::Buffer,
    );

    /// `out[t]` = index of the largest of `x[t]`, the first where several are equal: `x` `[rows,
    /// width]`, `out` `[rows]` (exact in f32 up to 2^24).
    fn argmax(&mut self, x: &Self::Buffer, rows: usize, width: usize, out: &mut Self::Buffer);
}
