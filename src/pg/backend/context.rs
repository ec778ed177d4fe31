//! Keeps the context of an error of Postgres.
//!
//! An error that passes through Rust is caught, unwinds as a panic and is rethrown by the outermost guard, with its
//! SQLSTATE, message, detail and hint. Its context, and the user's query that it points into, are lost on the way.
//! [`keep`] saves them while Postgres raises the error, and adds them while it is rethrown.
//!
//! Both happen in error context callbacks: the first is on the callback stack while the work runs, the second is pushed
//! while the panic unwinds, and popped by the handler that catches the new error, since every handler restores the
//! stack.

use pgrx::PgLogLevel;
use pgrx::pg_sys::{self, ErrorContextCallback, ErrorData, MemoryContext};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::ptr;

unsafe extern "C-unwind" {
    // Without guards: a panic may not unwind through the callbacks, which Postgres calls.
    fn CopyErrorData() -> *mut ErrorData;
    fn FreeErrorData(data: *mut ErrorData);
    fn MemoryContextDelete(context: MemoryContext);
    fn AllocSetContextCreateInternal(
        parent: MemoryContext,
        name: *const c_char,
        minimum: usize,
        initial: usize,
        maximum: usize,
    ) -> MemoryContext;
    fn errcontext_msg(format: *const c_char, ...) -> c_int;
    fn set_errcontext_domain(domain: *const c_char) -> c_int;
    fn geterrcode() -> c_int;
    fn internalerrquery(query: *const c_char) -> c_int;
    fn internalerrposition(position: c_int) -> c_int;
}

/// Where an error happened.
#[derive(Default)]
struct ErrorContext {
    /// Lines of context.
    lines: Option<CString>,
    /// The query that the error is in, and where in it, counted in characters from 1; 0 for unknown.
    query: Option<CString>,
    position: c_int,
    /// The SQLSTATE: a rethrown error is not saved again, and must not be taken for the one before it.
    code: c_int,
}

thread_local! {
    static UNWINDING: Cell<ErrorContext> = const {
        Cell::new(ErrorContext { lines: None, query: None, position: 0, code: 0 })
    };
    static AGAIN: UnsafeCell<ErrorContextCallback> = const {
        UnsafeCell::new(ErrorContextCallback { previous: ptr::null_mut(), callback: Some(add), arg: ptr::null_mut() })
    };
}

/// Runs `work`; an error that Postgres raises in it, and that unwinds from here to the outermost guard, keeps its
/// context. `work` does nothing but call Postgres.
pub(in crate::pg) fn keep<R>(work: impl FnOnce() -> R) -> R {
    let mut saved = ErrorContext::default();
    let arg = (&raw mut saved).cast::<c_void>();
    // SAFETY: the stack is that of this thread, the only one that runs Postgres.
    let previous = unsafe { pg_sys::error_context_stack };
    let mut callback = ErrorContextCallback { previous, callback: Some(note), arg };
    let _off = Off { previous, saved: arg.cast() };
    // SAFETY: `callback` and `saved` outlive their stay on the stack: `_off`, which ends it, is dropped before them.
    unsafe { pg_sys::error_context_stack = &raw mut callback };
    work()
}

/// Forgets the error that was on its way out: the caller has caught it.
pub(in crate::pg) fn forget() {
    UNWINDING.take();
}

/// Pops [`note`] off the callback stack, and pushes [`add`] for an error on its way out.
struct Off {
    previous: *mut ErrorContextCallback,
    saved: *mut ErrorContext,
}

impl Drop for Off {
    fn drop(&mut self) {
        // SAFETY: calls nothing of Postgres. `previous` is what was on the stack before, and outlives us; `saved` is
        // alive and used by nobody else, as `note` is off the stack now; `AGAIN` is only reached through the stack.
        unsafe {
            pg_sys::error_context_stack = self.previous;
            if std::thread::panicking() {
                UNWINDING.set(std::mem::take(&mut *self.saved));
                AGAIN.with(|again| {
                    (*again.get()).previous = self.previous;
                    pg_sys::error_context_stack = again.get();
                });
            }
        }
    }
}

/// Saves where the error that is being raised happened; `saved` is an [`ErrorContext`].
unsafe extern "C-unwind" fn note(saved: *mut c_void) {
    let saved: *mut ErrorContext = saved.cast();
    // SAFETY: Postgres calls this while it raises an error or says something less, and the copy is that of it, in
    // memory that is deleted once it is read. Should one of the calls raise, nothing of Rust is alive that owns
    // anything.
    unsafe {
        // Most reports here are no errors: those of the classes 00 and 01.
        if matches!(geterrcode() & 0xfff, 0 | 0x40) {
            return;
        }
        let (before, name) = (pg_sys::CurrentMemoryContext, c"lumina error context".as_ptr());
        let memory = AllocSetContextCreateInternal(pg_sys::TopMemoryContext, name, 0, 8 << 10, 8 << 20);
        pg_sys::CurrentMemoryContext = memory;
        let data = CopyErrorData();
        if (*data).elevel >= PgLogLevel::ERROR as c_int {
            *saved = ErrorContext {
                lines: copy((*data).context),
                query: copy((*data).internalquery),
                position: (*data).internalpos,
                code: (*data).sqlerrcode,
            };
        }
        FreeErrorData(data);
        pg_sys::CurrentMemoryContext = before;
        MemoryContextDelete(memory);
    }
}

/// Adds to the error that is being rethrown where it happened.
unsafe extern "C-unwind" fn add(_: *mut c_void) {
    let ErrorContext { lines, query, position, code } = UNWINDING.take();
    // SAFETY: Postgres calls this while it raises an error, and copies what it is given.
    unsafe {
        if geterrcode() != code {
            return;
        }
        if let Some(query) = &query {
            internalerrquery(query.as_ptr());
            internalerrposition(position);
        }
        if let Some(lines) = &lines {
            set_errcontext_domain(ptr::null());
            errcontext_msg(c"%s".as_ptr(), lines.as_ptr());
        }
    }
}

/// # Safety
/// `text` is null or a C string.
unsafe fn copy(text: *const c_char) -> Option<CString> {
    // SAFETY: as promised by the caller.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) }.to_owned())
}
