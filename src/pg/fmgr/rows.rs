//! Functions that return a set of rows, all made before the first is seen: Postgres's materialize mode.
//!
//! [`set_function!`] declares one; its body reads its arguments from a [`Call`] and writes [`Rows`]. Rows go to a
//! tuplestore, which keeps `work_mem` of them in memory and the rest in temporary files. They are written a batch at a
//! time: a guard around each row would cost more than the row.

use super::arguments::Call;
use super::raise::OrRaise;
use crate::error::LuminaError;
use crate::pg::spi::query::new_memory;
use pgrx::pg_sys::{self, Datum, MemoryContext, Oid, ReturnSetInfo, TupleDesc, Tuplestorestate};

unsafe extern "C-unwind" {
    /// Without a guard: many calls share one.
    fn tuplestore_putvalues(store: *mut Tuplestorestate, rows: TupleDesc, values: *mut Datum, nulls: *mut bool);
}

/// How many rows are written at a time.
const BATCH: usize = 1000;

/// The rows of a result.
pub(crate) struct Rows {
    store: *mut Tuplestorestate,
    description: TupleDesc,
    width: usize,
    values: Vec<Datum>,
    nulls: Vec<bool>,
    /// The memory context of a batch's values.
    memory: MemoryContext,
}

impl Rows {
    /// Begins the result of this call. Raises 0A000, like Postgres, where the caller cannot accept a set, or not in
    /// this mode.
    pub(crate) fn begin(call: Call) -> Self {
        // SAFETY: the call is running; Postgres puts tuplestore and description into memory that outlives it, and says
        // where in the ReturnSetInfo, which it has checked to be one.
        unsafe {
            pg_sys::InitMaterializedSRF(call.raw(), 0);
            let info: *mut ReturnSetInfo = (*call.raw()).resultinfo.cast();
            let description = (*info).setDesc;
            let width = (*description).natts as usize;
            let (mut values, mut nulls) = (Vec::new(), Vec::new());
            values.try_reserve_exact(width * BATCH).or_raise();
            nulls.try_reserve_exact(width * BATCH).or_raise();
            values.resize(width * BATCH, Datum::null());
            nulls.resize(width * BATCH, false);
            Rows { store: (*info).setResult, description, width, values, nulls, memory: new_memory(c"lumina rows") }
        }
    }

    /// The type of a column, counted from 0.
    pub(crate) fn column_type(&self, index: usize) -> Oid {
        assert!(index < self.width, "the result has no column {index}");
        // SAFETY: the description has `width` columns.
        unsafe { (*crate::pg::version::attribute(self.description, index)).atttypid }
    }

    /// Adds `count` rows: `fill` gets the number of each, from 0, the room for its values, which are of the columns'
    /// types, and the flags for NULL. A column that is left alone is NULL. What `fill` allocates in Postgres's memory
    /// lives until its row is written. Can be cancelled between batches.
    pub(crate) fn put(&mut self, count: usize, mut fill: impl FnMut(usize, &mut [Datum], &mut [bool])) {
        for start in (0..count).step_by(BATCH) {
            pgrx::check_for_interrupts!();
            let rows = BATCH.min(count - start);
            self.nulls.fill(true);
            // SAFETY: the memory is ours. Should `fill` panic, the code that catches it sets the current memory
            // context.
            let before = unsafe { pg_sys::MemoryContextSwitchTo(self.memory) };
            let places = self.values.chunks_exact_mut(self.width).zip(self.nulls.chunks_exact_mut(self.width));
            for (row, (values, nulls)) in (start..start + rows).zip(places) {
                fill(row, values, nulls);
            }
            // SAFETY: the memory context that was current before.
            unsafe { pg_sys::CurrentMemoryContext = before };
            self.write(rows);
        }
    }

    /// Discards all rows.
    pub(crate) fn clear(&mut self) {
        // SAFETY: the store is that of the running call, and nobody has read it.
        unsafe { pg_sys::tuplestore_clear(self.store) };
    }

    fn write(&mut self, rows: usize) {
        let Self { store, description, width, memory, .. } = *self;
        let (values, nulls) = (self.values.as_mut_ptr(), self.nulls.as_mut_ptr());
        // SAFETY: there are places for BATCH rows of `width` columns. The closure owns nothing, cannot panic and calls
        // nothing that has a guard of its own. The tuplestore copies the values, so that their memory can be emptied.
        unsafe {
            pg_sys::ffi::pg_guard_ffi_boundary(|| {
                for row in 0..rows {
                    tuplestore_putvalues(store, description, values.add(row * width), nulls.add(row * width));
                }
            });
            pg_sys::MemoryContextReset(memory);
        }
    }
}

/// Runs the body of a function that returns a set.
pub(crate) fn answer(call: Call, body: impl FnOnce(Call, &mut Rows) -> Result<(), LuminaError>) -> Datum {
    let mut rows = Rows::begin(call);
    body(call, &mut rows).or_raise();
    Datum::null() // the rows are the result
}

/// Declares `$name`, a function that returns a set of rows, and the record that tells Postgres its calling convention,
/// `$record`. `$body` is a `fn(Call, &mut Rows) -> Result<(), LuminaError>`.
macro_rules! set_function {
    ($(#[$doc:meta])* $name:ident, $record:ident, $body:expr $(,)?) => {
        $(#[$doc])*
        #[allow(unsafe_code)]
        #[unsafe(no_mangle)]
        unsafe extern "C-unwind" fn $name(fcinfo: pgrx::pg_sys::FunctionCallInfo) -> pgrx::pg_sys::Datum {
            use crate::error::LuminaError;
            use crate::pg::fmgr::arguments::Call;
            use crate::pg::fmgr::rows::{Rows, answer};
            let body: fn(Call, &mut Rows) -> Result<(), LuminaError> = $body;
            // SAFETY: called by Postgres alone, as declared in sql/; the closure owns nothing that an error would leave
            // behind.
            unsafe { pgrx::pg_sys::panic::pgrx_extern_c_guard(|| answer(Call::new(fcinfo), body)) }
        }

        crate::pg::fmgr::call::record!($record);
    };
}

pub(crate) use set_function;
