//! Shared memory of the server, where the library is preloaded: a word for each process, with the memory that the
//! images of that process take.
//!
//! Only a process itself, its threads included, writes its word, each time by one atomic step: whenever it ends, its
//! share does not count any more. The word is cleared while the process exits; where one is killed, Postgres
//! initializes all shared memory again.

use pgrx::pg_sys::{self, Datum};
use std::ffi::c_int;
use std::process;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release, SeqCst};
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, AtomicUsize};

type Hook = Option<unsafe extern "C-unwind" fn()>;

/// The words, and their number: set by the postmaster, inherited by all.
static WORDS: AtomicPtr<AtomicU64> = AtomicPtr::new(std::ptr::null_mut());
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// The hooks of libraries that were loaded before.
static REQUESTED_BEFORE: OnceLock<Hook> = OnceLock::new();
static STARTED_BEFORE: OnceLock<Hook> = OnceLock::new();

/// The process that has registered the clearing of its word at its exit.
static CLEARED_AT_EXIT: AtomicU32 = AtomicU32::new(0);

/// Requests the memory, where the postmaster preloads the library.
pub(crate) fn register() {
    // SAFETY: hooks are set by the postmaster, before it starts any process.
    unsafe {
        if (&raw const pg_sys::process_shared_preload_libraries_in_progress).read() {
            REQUESTED_BEFORE.get_or_init(|| (&raw const pg_sys::shmem_request_hook).read());
            STARTED_BEFORE.get_or_init(|| (&raw const pg_sys::shmem_startup_hook).read());
            (&raw mut pg_sys::shmem_request_hook).write(Some(request));
            (&raw mut pg_sys::shmem_startup_hook).write(Some(start));
        }
    }
}

/// How many processes may call functions at once.
fn processes() -> usize {
    // SAFETY: a plain read of what is known before any shared memory is asked for.
    unsafe { (&raw const pg_sys::MaxBackends).read() as usize }
}

/// # Safety
/// `hook` is one of Postgres's kind.
unsafe fn call(hook: Option<&Hook>) {
    if let Some(Some(hook)) = hook {
        // SAFETY: as promised by the caller; the closure owns nothing.
        unsafe { pg_sys::ffi::pg_guard_ffi_boundary(|| hook()) };
    }
}

/// # Safety
/// Called by the postmaster.
unsafe extern "C-unwind" fn request() {
    // SAFETY: nothing is owned that an error would leave behind.
    unsafe {
        pg_sys::panic::pgrx_extern_c_guard(|| {
            call(REQUESTED_BEFORE.get());
            pg_sys::RequestAddinShmemSpace(processes() * size_of::<AtomicU64>());
        });
    }
}

/// # Safety
/// Called by the postmaster, at its start and whenever it initializes shared memory again: no other process is there.
unsafe extern "C-unwind" fn start() {
    // SAFETY: nothing is owned that an error would leave behind; Postgres gives as many bytes as are asked for, aligned
    // to a line of the cache.
    unsafe {
        pg_sys::panic::pgrx_extern_c_guard(|| {
            call(STARTED_BEFORE.get());
            let (count, mut found) = (processes(), false);
            let name = c"lumina image memory".as_ptr();
            let words =
                pg_sys::ShmemInitStruct(name, count * size_of::<AtomicU64>(), &raw mut found).cast::<AtomicU64>();
            for place in 0..count {
                words.add(place).write(AtomicU64::new(0));
            }
            COUNT.store(count, Release);
            WORDS.store(words, Release);
        });
    }
}

/// All words; none where the library is not preloaded.
fn words() -> &'static [AtomicU64] {
    let words = WORDS.load(Acquire);
    if words.is_null() {
        return &[];
    }
    // SAFETY: as many words as the postmaster has made; they stay until this process is gone.
    unsafe { std::slice::from_raw_parts(words, COUNT.load(Acquire)) }
}

/// Kilobytes that the images of all processes take.
pub(in crate::pg) fn sum() -> u64 {
    words().iter().map(|word| u64::from(word.load(SeqCst) as u32)).sum()
}

/// The word of a process: its pid in the upper half, so that no thread of a process that is gone, or about to go,
/// changes it; kilobytes in the lower half.
#[derive(Clone, Copy)]
pub(in crate::pg) struct Word {
    word: &'static AtomicU64,
    process: u32,
}

impl Word {
    /// The word of this process; `None` where the library is not preloaded.
    pub(in crate::pg) fn mine() -> Option<Self> {
        let words = words();
        if words.is_empty() {
            return None;
        }
        // SAFETY: plain reads; a process that runs functions has an entry in the list of all processes.
        let place = unsafe {
            let all = (*(&raw const pg_sys::ProcGlobal).read()).allProcs;
            (&raw const pg_sys::MyProc).read().offset_from(all)
        };
        let word = words.get(usize::try_from(place).ok()?)?;
        let process = process::id();
        if CLEARED_AT_EXIT.swap(process, AcqRel) != process {
            // SAFETY: a plain call. The callback runs before the process's entry is another's.
            unsafe { pg_sys::on_shmem_exit(Some(clear), Datum::null()) };
        }
        Some(Word { word, process })
    }

    /// Adds kilobytes. Only by the process's own thread.
    pub(in crate::pg) fn add(self, kilobytes: u32) {
        self.change(|before| Some(before.unwrap_or(0).saturating_add(kilobytes)));
    }

    /// Takes kilobytes away; by any thread of the process.
    pub(in crate::pg) fn subtract(self, kilobytes: u32) {
        self.change(|before| before.map(|before| before.saturating_sub(kilobytes)));
    }

    /// `change` gets the kilobytes of the process, `None` where the word is another's.
    fn change(self, change: impl Fn(Option<u32>) -> Option<u32>) {
        let upper = u64::from(self.process) << 32;
        let _ = self.word.fetch_update(SeqCst, SeqCst, |word| {
            let before = (word >> 32 == u64::from(self.process)).then_some(word as u32);
            change(before).map(|after| upper | u64::from(after))
        });
    }
}

/// # Safety
/// Called by Postgres while the process exits: it must not raise.
unsafe extern "C-unwind" fn clear(_code: c_int, _argument: Datum) {
    let process = u64::from(process::id());
    for word in words() {
        let _ = word.fetch_update(SeqCst, SeqCst, |word| (word >> 32 == process).then_some(0));
    }
}
