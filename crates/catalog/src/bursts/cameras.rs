//! Numbers of cameras, in the order in which they are first seen. Called by [`super`] for every image. Invariant: two
//! cameras have one number where make and model agree, but for case and spaces around them.

use lumina_search::{SearchContext, SearchError};
use std::collections::HashMap;

/// What an entry takes beside its key, in bytes.
const ENTRY: usize = 64;

/// The cameras that were seen.
#[derive(Debug, Default)]
pub(super) struct Cameras {
    numbers: HashMap<Box<[u8]>, u32>,
    key: Vec<u8>,
    bytes: usize,
}

impl Cameras {
    /// The number of a camera.
    pub(super) fn number(&mut self, make: &[u8], model: &[u8], context: &SearchContext) -> Result<u32, SearchError> {
        self.key.clear();
        self.key.extend(make.trim_ascii().iter().map(u8::to_ascii_lowercase));
        self.key.push(0); // no text of Postgres holds one
        self.key.extend(model.trim_ascii().iter().map(u8::to_ascii_lowercase));
        if let Some(&number) = self.numbers.get(&self.key[..]) {
            return Ok(number);
        }
        let bytes = ENTRY + self.key.len();
        context.take(bytes)?;
        self.bytes += bytes;
        if self.numbers.try_reserve(1).is_err() {
            return Err(SearchError::OutOfMemory { bytes: self.bytes });
        }
        let number = self.numbers.len() as u32;
        self.numbers.insert(self.key.as_slice().into(), number);
        Ok(number)
    }

    /// Forgets them.
    pub(super) fn free(self, context: &SearchContext) {
        context.release(self.bytes);
    }
}
