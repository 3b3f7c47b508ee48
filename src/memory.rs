//! What a backend holds: counted where it is taken and where it is let go, so that a test can see
//! that nothing is left behind.

use std::{cell::Cell, rc::Rc};

/// How much memory is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Buffers, weights and deltas.
    pub buffers: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// The count of one backend.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ledger(Rc<Cell<Memory>>);

/// A line of the ledger, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Held {
    ledger: Ledger,
    bytes: u64,
}

impl Ledger {
    /// Counts a buffer of `bytes`.
    pub fn hold(&self, bytes: u64) -> Held {
        let Memory { buffers, bytes: before } = self.0.get();
        self.0.set(Memory { buffers: buffers + 1, bytes: before + bytes });
        Held { ledger: self.clone(), bytes }
    }

    /// The count as it stands.
    pub fn memory(&self) -> Memory {
        self.0.get()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let Memory { buffers, bytes } = self.ledger.memory();
        self.ledger.0.set(Memory { buffers: buffers - 1, bytes: bytes - self.bytes });
    }
}
