//! The trait that both backends implement, and nothing else.
//!
//! A kernel call records work; only [`Backend::read`] hands numbers back. The future it returns
//! borrows nothing, so a caller may change adapters while a result is on its way. Sizes are
//! checked by the caller (the model), which knows the names to put into an error.

use std::{future::Future, ops::Range};

use crate::{Result, adapter::Delta, memory::Memory, tensor::Tensor};

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

/// A delta that is active on some output rows of a [`Backend::Weight`].
pub struct Active<'a, B: Backend + ?Sized> {
    /// The uploaded factors.
    pub delta: &'a B::Delta,
    /// The user's slider, on top of the delta's own scale.
    pub strength: f32,
    /// First output row of the weight that the delta changes.
    pub first_row: usize,
    /// The rows of `x` and `y` that it runs on; a merge takes no notice of them.
    pub tokens: Range<usize>,
}

impl<B: Backend + ?Sized> Clone for Active<'_, B> {
    fn clone(&self) -> Self {
        Self { tokens: self.tokens.clone(), ..*self }
    }
}

/// Memory and kernels. Buffers are f32, row-major; `rows` is the number of tokens.
pub trait Backend {
    /// f32 numbers: activations, norms, caches.
    type Buffer;
    /// A frozen matrix `[out, in]` in its stored dtype.
    type Weight;
    /// The factors of one delta.
    type Delta;
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
    /// The factors of a delta.
    fn delta(&mut self, delta: &Delta) -> Result<Self::Delta>;
    /// Starts to read `len` numbers from `first` on.
    fn read(&mut self, buffer: &Self::Buffer, first: usize, len: usize) -> Self::Reading;
    /// Starts to read a whole matrix `[out, in]` as f32.
    fn read_weight(&mut self, weight: &Self::Weight) -> Self::Reading;

    /// `W + sum of strength * scale * dW` in f32, in new memory; `weight` stays as it is.
    fn merge(&mut self, weight: &Self::Weight, deltas: &[Active<'_, Self>])
    -> Result<Self::Weight>;

    /// `out[t] = table[ids[t]]`: `table` `[vocabulary, hidden]`, `out` `[rows, hidden]`.
    fn embed(&mut self, table: &Self::Weight, ids: &[u32], out: &mut Self::Buffer) -> Result<()>;

    /// `out[t] = x[first + t] / rms(x[first + t]) * weight`: `x` `[.., width]`, `weight`
    /// `[width]`, `out` `[rows, width]`; `rms = sqrt(mean of squares + epsilon)`.
    #[allow(clippy::too_many_arguments, reason = "a kernel's bindings, one argument each")]
    fn rms_norm(
        &mut self,
        x: &Self::Buffer,
        first: usize,
        rows: usize,
        weight: &Self::Buffer,
        width: usize,
        epsilon: f32,
        out: &mut Self::Buffer,
    );

    /// `y[t] = W x[t] + sum of strength * scale * up(down(x[t]))`, over the deltas whose tokens
    /// hold `t`: `x` `[rows, in]`, `y` `[rows, out]`. `W` holds all projections that read the same
    /// input.
    fn linears(
        &mut self,
        weight: &Self::Weight,
        deltas: &[Active<'_, Self>],
        x: &Self::Buffer,
        rows: usize,
        y: &mut Self::Buffer,
    ) -> Result<()>;

    /// `y[t, first_row + i] += scale * bias[i]` for every `t` of `tokens`: `bias` `[len]`, `y`
    /// `[.., width]`.
    #[allow(clippy::too_many_arguments, reason = "a kernel's bindings, one argument each")]
    fn bias(
        &mut self,
        bias: &Self::Buffer,
        len: usize,
        scale: f32,
        first_row: usize,
        tokens: Range<usize>,
        y: &mut Self::Buffer,
        width: usize,
    );

    /// Root mean square norm of every query head and every key head of `qkv` `[rows,
    /// heads.qkv()]`, in place, as in [`Backend::rms_norm`]: `weight` `[2, size]` for queries, then
    /// for keys.
    fn head_norm(
        &mut self,
        qkv: &mut Self::Buffer,
        heads: Heads,
        rows: usize,
        weight: &Self::Buffer,
        epsilon: f32,
    );

    /// Rotary positions, halves form: rotates `q` inside the rows of `qkv` `[.., heads.qkv()]`,
    /// and writes rotated `k` and `v` at their positions into the caches `[context, key_value *
    /// size]`. `table` `[context, size / 2, 2]` holds cosine and sine.
    fn rope(
        &mut self,
        qkv: &mut Self::Buffer,
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
        rows: usize,
        width: usize,
        out: &mut Self::Buffer,
    );

    /// `x[i] += y[i]` for `i < len`.
    fn add(&mut self, x: &mut Self::Buffer, y: &Self::Buffer, len: usize);

    /// `out[t]` = index of the largest of `x[t]`, the first where several are equal: `x` `[rows,
    /// width]`, `out` `[rows]` (exact in f32 up to 2^24).
    fn argmax(&mut self, x: &Self::Buffer, rows: usize, width: usize, out: &mut Self::Buffer);
}
