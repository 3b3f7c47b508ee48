//! GPU memory that tells the bind group cache when it goes away.

use std::{cell::RefCell, rc::Rc};

use crate::memory::Held;

/// Identities of buffers that were dropped and whose bind groups must go.
pub(super) type Dropped = Rc<RefCell<Vec<u64>>>;

/// A storage buffer.
#[derive(Debug)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    /// Never used twice by one backend.
    pub(super) id: u64,
    pub(super) dropped: Dropped,
    pub(super) _held: Held,
}

impl Drop for Buffer {
    fn drop(&mut self) {
        self.dropped.borrow_mut().push(self.id);
    }
}
