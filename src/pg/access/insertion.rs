//! The state that an index keeps over the rows of one statement.

use pgrx::pg_sys::{self, IndexInfo};

/// Postgres's description of an index for one statement.
#[derive(Clone, Copy)]
pub(crate) struct Insertion(*mut IndexInfo);

impl Insertion {
    /// # Safety
    /// `info` is what `aminsert` was given, and it is running.
    pub(crate) unsafe fn of(info: *mut IndexInfo) -> Self {
        Insertion(info)
    }

    /// The kept state, made by `make` for the first row; always of the same type. It is never dropped, and owns
    /// nothing.
    pub(crate) fn kept<'a, T: Copy>(self, make: impl FnOnce() -> T) -> &'a mut T {
        // SAFETY: as promised when this was made. The memory lives as long as the description, and rows are inserted
        // one after the other.
        unsafe {
            if (*self.0).ii_AmCache.is_null() {
                let made = make();
                let kept: *mut T = pg_sys::MemoryContextAlloc((*self.0).ii_Context, size_of::<T>()).cast();
                kept.write(made);
                (*self.0).ii_AmCache = kept.cast();
            }
            &mut *(*self.0).ii_AmCache.cast()
        }
    }
}
