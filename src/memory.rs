//! What a backend holds: counted where it is taken and where it is let go, so that a test can see
//! that nothing is left behind.

use std::{cell::Cell, rc::Rc};

#[cfg(all(target_arch = "wasm32", feature = "run"))]
use crate::{Error, Result};

/// How much memory is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Memory {
    /// Buffers, weights and deltas.
    pub buffers: usize,
    /// Their bytes.
    pub bytes: u64,
}

/// Whether there is room for the numbers of a model: it is taken and given back at once. The wasm cannot
/// go on after an allocation that fails midway.
#[cfg(all(target_arch = "wasm32", feature = "run"))]
pub(crate) fn room(bytes: u64) -> Result<()> {
    /// Of one piece: such are found wherever some memory is free.
    const PIECE: usize = 1 << 24;
    let take = || {
        let pieces = usize::try_from(bytes).ok()?.div_ceil(PIECE);
        let mut taken: Vec<Vec<u8>> = vec![Vec::new(); pieces];
        // Else the optimiser leaves out what nobody looks at.
        let taken = std::hint::black_box(&mut taken);
        taken.iter_mut().try_for_each(|piece| piece.try_reserve_exact(PIECE).ok())
    };
    take().ok_or_else(|| Error::Device { reason: format!("no memory for a model, {bytes} bytes") })
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
