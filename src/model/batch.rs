//! Several texts in one step: which rows belong to which text.

use super::Session;
use crate::backend::{Backend, Span};

/// The tokens that one text of a step goes on with.
pub struct Turn<'a, B: Backend> {
    /// The text.
    pub session: &'a mut Session<B>,
    /// Its next tokens.
    pub ids: &'a [u32],
}

/// The rows of a step. The last token of every text comes at the end, in the order of the texts,
/// so that the rows which become logits lie together.
pub(super) struct Batch {
    /// Token of each row.
    pub ids: Vec<u32>,
    /// Text and rows, in the order in which attention has to take them.
    pub spans: Vec<(usize, Span)>,
}

impl Batch {
    pub fn new<B: Backend>(turns: &[Turn<'_, B>]) -> Self {
        let mut batch = Self { ids: Vec::new(), spans: Vec::new() };
        for (text, turn) in turns.iter().enumerate() {
            if let Some((_, before)) = turn.ids.split_last() {
                batch.push(text, before, turn.session.position);
            }
        }
        for (text, turn) in turns.iter().enumerate() {
            if let Some((last, before)) = turn.ids.split_last() {
                batch.push(text, &[*last], turn.session.position + before.len());
            }
        }
        batch
    }

    fn push(&mut self, text: usize, ids: &[u32], start: usize) {
        let first = self.ids.len();
        self.ids.extend(ids);
        let rows = first..self.ids.len();
        match self.spans.last_mut() {
            _ if ids.is_empty() => {}
            // A text alone is one span.
            Some((other, span)) if *other == text => span.rows.end = rows.end,
            _ => self.spans.push((text, Span { rows, start })),
        }
    }
}
