//! The keys and values of one text.

use crate::{Result, backend::Backend};

/// One text on its way: what attention has to remember of it. Memory is taken once, at the start.
pub struct Session<B: Backend> {
    /// Keys and values `[capacity, key_value * head_dim]` of each layer.
    pub(super) caches: Vec<(B::Buffer, B::Buffer)>,
    pub(super) capacity: usize,
    pub(super) position: usize,
}

impl<B: Backend> Session<B> {
    pub(super) fn new(backend: &mut B, layers: usize, capacity: usize, len: usize) -> Result<Self> {
        let caches = (0..layers).map(|_| Ok((backend.zeros(len)?, backend.zeros(len)?)));
        Ok(Self { caches: caches.collect::<Result<_>>()?, capacity, position: 0 })
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
