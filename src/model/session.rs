//! The keys and values of one text.

use crate::{Result, backend::Backend};

/// One text on its way: what attention has to remember of it. Memory is taken once, at the start.
pub struct Session<B: Backend> {
    /// Keys and values `[capacity, width]` of each layer.
    pub(super) caches: Vec<(B::Buffer, B::Buffer)>,
    pub(super) capacity: usize,
    /// `key_value * head_dim`.
    pub(super) width: usize,
    pub(super) position: usize,
    /// Identity and strength of its own adapters; `None`: what is active in the model.
    pub(super) mix: Option<Vec<(usize, f32)>>,
}

impl<B: Backend> Session<B> {
    pub(super) fn new(
        backend: &mut B,
        layers: usize,
        capacity: usize,
        width: usize,
    ) -> Result<Self> {
        let len = capacity * width;
        let caches = (0..layers).map(|_| Ok((backend.zeros(len)?, backend.zeros(len)?)));
        let caches = caches.collect::<Result<_>>()?;
        Ok(Self { caches, capacity, width, position: 0, mix: None })
    }

    /// Tokens so far.
    pub fn len(&self) -> usize {
        self.position
    }

    /// Whether there are no tokens yet.
    pub fn is_empty(&self) -> bool {
        self.position == 0
    }

    /// Tokens that fit.
    pub fn capacity(&self) -> usize {
        self.capacity
    }
}
