//! Functions that return a set of rows, all made before the first is seen: Postgres's materialize mode.
//!
//! [`set_function!`] declares one; its body reads its arguments from a [`Call`] and writes [`Rows`]. Rows go to a
//! tuplestore, which keeps `work_mem` of them in memory and the rest in temporary files. They are written a batch at a
//! time: a guard around each row would cost more than the row.

use super::array;
use super::query::new_memory;
use crate::error::{LuminaError, OrRaise};
use pgrx::pg_sys::{self, Datum, FunctionCallInfo, MemoryContext, Oid, ReturnSetInfo, TupleDesc, Tuplestorestate};
use std::ffi::CString;

unsafe extern "C-unwind" {
    /// Without a guard: many calls share one.
    fn tuplestore_putvalues(store: *mut Tuplestorestate, rows: TupleDesc, values: *mut Datum, nulls: *mut bool);
}

/// How many rows are written at a time.
const BATCH: usize = 1000;

/// A call of a function that is not STRICT: each argument may be NULL.
#[derive(Clone, Copy)]
pub(crate) struct Call(FunctionCallInfo);

impl Call {
    /// # Safety
    /// `fcinfo` is that of the running call, whose declaration gives its arguments the types that they are read as.
    pub(crate) unsafe fn new(fcinfo: FunctionCallInfo) -> Self {
        Call(fcinfo)
    }

    /// An argument as it is; `None` for NULL.
    fn datum(self, index: usize) -> Option<Datum> {
        // SAFETY: the call has `nargs` arguments.
        unsafe {
            assert!(index < (*self.0).nargs as usize, "the function has no argument {index}");
            let argument = (*self.0).args.as_ptr().add(index);
            (!(*argument).isnull).then_some((*argument).value)
        }
    }

    /// A `text`, in the encoding of the database.
    pub(crate) fn text(self, index: usize) -> Option<CString> {
        // SAFETY: the argument is a text, which never holds a zero byte.
        self.datum(index).map(|text| unsafe { CString::from_vec_unchecked(super::datum::payload(text).to_vec()) })
    }

    /// An `int4`.
    pub(crate) fn int4(self, index: usize) -> Option<i32> {
        self.datum(index).map(|number| number.value() as i32)
    }

    /// An `int8`.
    pub(crate) fn int8(self, index: usize) -> Option<i64> {
        self.datum(index).map(|number| number.value() as i64)
    }

    /// A `float8`.
    pub(crate) fn float8(self, index: usize) -> Option<f64> {
        self.datum(index).map(|number| f64::from_bits(number.value() as u64))
    }

    /// Whether an argument is NULL.
    pub(crate) fn is_null(self, index: usize) -> bool {
        self.datum(index).is_none()
    }

    /// The payload of a varlena; nothing for NULL.
    pub(crate) fn bytes<'a>(self, index: usize) -> &'a [u8] {
        // SAFETY: the argument is a varlena, which lives as long as the call.
        self.datum(index).map_or(&[], |varlena| unsafe { super::datum::payload(varlena) })
    }

    /// A `bool`; false for NULL.
    pub(crate) fn bool(self, index: usize) -> bool {
        self.datum(index).is_some_and(|value| value.value() as u8 != 0)
    }

    /// The function that is called.
    pub(crate) fn function(self) -> Oid {
        // SAFETY: the call is running, and knows its function.
        unsafe { (*(*self.0).flinfo).fn_oid }
    }

    /// Whether an argument is declared as an array of `int4`.
    pub(crate) fn is_int4s(self, index: usize) -> bool {
        let (mut types, mut count) = (std::ptr::null_mut(), 0);
        // SAFETY: a look-up, which fills in how many types there are, and an array of as many.
        unsafe {
            pg_sys::get_func_signature(self.function(), &raw mut types, &raw mut count);
            assert!(index < count as usize, "the function has no argument {index}");
            *types.add(index) == pg_sys::INT4ARRAYOID
        }
    }

    /// An `int4[]`, which users know by `name`. Errors: 2202E for more than one dimension, 22004 for NULL elements.
    pub(crate) fn int4s(self, index: usize, name: &'static str) -> Result<Option<Vec<i32>>, LuminaError> {
        // SAFETY: the argument is an int4[].
        self.datum(index).map(|array| unsafe { array::int4s(array, name) }).transpose()
    }
}

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
            pg_sys::InitMaterializedSRF(call.0, 0);
            let info: *mut ReturnSetInfo = (*call.0).resultinfo.cast();
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
        unsafe { (*super::version::attribute(self.description, index)).atttypid }
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
            use crate::pg::rows::{Call, Rows, answer};
            use crate::error::LuminaError;
            let body: fn(Call, &mut Rows) -> Result<(), LuminaError> = $body;
            // SAFETY: called by Postgres alone, as declared in sql/; the closure owns nothing that an error would leave
            // behind.
            unsafe { pgrx::pg_sys::panic::pgrx_extern_c_guard(|| answer(Call::new(fcinfo), body)) }
        }

        crate::pg::call::record!($record);
    };
}

pub(crate) use set_function;
