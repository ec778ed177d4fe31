//! A child process of a background worker: it has none of Postgres's shared memory, so that it may crash, or be killed,
//! without harm to any other process.
//!
//! - It is forked, and runs nothing of Postgres afterwards: no errors, no memory contexts, no locks.
//! - It reports to its worker by lines of text, and that it is alive by a word that both share.
//! - It ends with its worker, however that ends: the kernel signals it, or the worker does before its own exit. A
//!   container's first process may be the postmaster, which takes an unknown child that a signal has ended for a crash.
//!   So an orphan is ended by a signal that it answers by an exit with code 0.

use crate::pg::backend::latch::{pause, ready};
use pgrx::pg_sys::{self, Datum};
use std::ffi::c_int;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

unsafe extern "C-unwind" {
    fn PGSharedMemoryDetach();
}

/// How long to wait for a child, then for one that is killed: a driver may keep it in the kernel.
const EXIT_TIMEOUT: Duration = Duration::from_secs(5);

/// The signal that the kernel sends to a child whose parent has gone. SIGQUIT, by which the postmaster ends all
/// processes of a worker at once, does the same.
const END: c_int = libc::SIGUSR2;

/// The child of this worker; 0 for none.
static CHILD: AtomicI32 = AtomicI32::new(0);

/// A word that parent and child share.
struct Pulse(NonNull<AtomicU64>);

impl Pulse {
    fn new() -> io::Result<Self> {
        let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: the kernel chooses the place, and fills it with zeros.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<AtomicU64>(), access, kind, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page.cast()).map(Pulse).ok_or_else(|| io::ErrorKind::OutOfMemory.into())
    }

    fn word(&self) -> &AtomicU64 {
        // SAFETY: mapped as long as this is.
        unsafe { self.0.as_ref() }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        // SAFETY: mapped with this size, and nobody borrows it any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<AtomicU64>()) };
    }
}

/// The child's own side.
pub(crate) struct Inside {
    parent: i32,
    reports: std::fs::File,
    pulse: Pulse,
}

impl Inside {
    /// Sends a line to the parent.
    pub(crate) fn report(&mut self, line: &str) {
        // Where the parent does not listen any more, this process is about to end.
        let _ = self.reports.write_all(format!("{line}\n").as_bytes());
    }

    /// Shows that it is alive. Returns whether its parent is.
    pub(crate) fn beat(&self) -> bool {
        self.pulse.word().fetch_add(1, Ordering::Relaxed);
        // SAFETY: a plain call.
        unsafe { libc::getppid() == self.parent }
    }
}

/// How a child has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself, with a code.
    Code(i32),
    /// By a signal.
    Signal(i32),
}

/// The parent's side of a running child.
pub(crate) struct Child {
    pid: i32,
    reports: std::fs::File,
    read: Vec<u8>,
    pulse: Pulse,
    last_beat: (u64, Instant),
}

impl Child {
    /// Starts a child, which runs `work`, closes all files but those in `keep`, and ends with 0 when `work` has
    /// returned. Called in a background worker that runs no threads.
    pub(crate) fn start(keep: &[RawFd], work: impl FnOnce(&mut Inside)) -> io::Result<Self> {
        let pulse = Pulse::new()?;
        let (reads, writes) = pipe()?;
        // SAFETY: a plain call.
        let parent = unsafe { libc::getpid() };
        stop_before_exit();
        // SAFETY: this process has one thread, so that its child finds whatever was locked unlocked. Until the child
        // has its own handlers, no signal comes through.
        let pid = unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            let pid = libc::fork();
            if pid != 0 {
                CHILD.store(pid.max(0), Ordering::Release);
                libc::sigprocmask(libc::SIG_SETMASK, &raw const before, std::ptr::null_mut());
            }
            pid
        };
        match pid {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                drop(reads);
                let kept: Vec<RawFd> = keep.iter().copied().chain([writes.as_raw_fd()]).collect();
                leave_postgres(parent, &kept);
                let mut inside = Inside { parent, reports: std::fs::File::from(writes), pulse };
                let outcome = catch_unwind(AssertUnwindSafe(|| work(&mut inside)));
                // SAFETY: ends the process at once, without what Postgres does at its own end.
                unsafe { libc::_exit(if outcome.is_ok() { 0 } else { 3 }) }
            }
            _ => {
                drop(writes);
                let reports = std::fs::File::from(reads);
                Ok(Child { pid, reports, read: Vec::new(), pulse, last_beat: (0, Instant::now()) })
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> i32 {
        self.pid
    }

    /// Waits for lines, but no longer than `at_most`. Checks for interrupts. `None` at the end of the child.
    pub(crate) fn listen(&mut self, at_most: Duration) -> Option<Vec<String>> {
        ready(self.reports.as_raw_fd(), at_most);
        let mut bytes = [0; 4096];
        let ended = match self.reports.read(&mut bytes) {
            Ok(0) => true,
            Ok(count) => {
                self.read.extend_from_slice(&bytes[..count]);
                false
            }
            Err(error) => !matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
        };
        let mut lines = Vec::new();
        while let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.read.drain(..=end).collect();
            lines.push(String::from_utf8_lossy(&line[..end]).into_owned());
        }
        (!ended || !lines.is_empty()).then_some(lines)
    }

    /// The time since it last showed life.
    pub(crate) fn silent_for(&mut self) -> Duration {
        let beat = self.pulse.word().load(Ordering::Relaxed);
        if beat != self.last_beat.0 {
            self.last_beat = (beat, Instant::now());
        }
        self.last_beat.1.elapsed()
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        // SAFETY: a child of ours that nobody has waited for yet: its process id is no other's.
        unsafe { libc::kill(self.pid, libc::SIGKILL) };
    }

    /// Waits for its end, and kills it where that takes too long. `None` where that does not help either. Checks for
    /// interrupts.
    pub(crate) fn wait(self) -> Option<Ended> {
        wait(self.pid, |moment| _ = pause(moment))
    }
}

fn wait(pid: i32, mut sleep: impl FnMut(Duration)) -> Option<Ended> {
    let began = Instant::now();
    let mut status: c_int = 0;
    while began.elapsed() < 2 * EXIT_TIMEOUT {
        // SAFETY: fills in the status.
        match unsafe { libc::waitpid(pid, &raw mut status, libc::WNOHANG) } {
            0 => {
                if began.elapsed() > EXIT_TIMEOUT {
                    // SAFETY: a child of ours that nobody has waited for yet.
                    unsafe { libc::kill(pid, libc::SIGKILL) };
                }
                sleep(Duration::from_millis(2));
            }
            found => {
                CHILD.store(0, Ordering::Release);
                return (found == pid).then(|| match libc::WIFSIGNALED(status) {
                    true => Ended::Signal(libc::WTERMSIG(status)),
                    false => Ended::Code(libc::WEXITSTATUS(status)),
                });
            }
        }
    }
    None
}

/// Registers that the child is ended before this process exits.
fn stop_before_exit() {
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: a plain call.
    REGISTERED.call_once(|| unsafe { pg_sys::before_shmem_exit(Some(stop), Datum::null()) });
}

/// # Safety
/// Called by Postgres while the process exits: it must not raise.
unsafe extern "C-unwind" fn stop(_code: c_int, _argument: Datum) {
    let pid = CHILD.load(Ordering::Acquire);
    if pid > 0 {
        // SAFETY: a child of ours that nobody has waited for yet.
        unsafe { libc::kill(pid, END) };
        wait(pid, std::thread::sleep);
    }
}

/// # Safety
/// Called by the kernel, in the child.
unsafe extern "C" fn end(_signal: c_int) {
    // SAFETY: ends the process at once.
    unsafe { libc::_exit(0) }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut ends: [c_int; 2] = [0; 2];
    // SAFETY: fills in two descriptors, which are nobody else's.
    unsafe {
        if libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) != 0 {
            return Err(io::Error::last_os_error());
        }
        let (reads, writes) = (OwnedFd::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]));
        let flags = libc::fcntl(reads.as_raw_fd(), libc::F_GETFL);
        if flags < 0 || libc::fcntl(reads.as_raw_fd(), libc::F_SETFL, flags | libc::O_NONBLOCK) != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok((reads, writes))
    }
}

static NO_CORE: libc::rlimit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };

/// Drops, in the child, what it has inherited from Postgres: exit callbacks, signal handlers, shared memory, files. Its
/// messages, which a driver may write as well, still go to the server's log.
fn leave_postgres(parent: i32, keep: &[RawFd]) {
    // SAFETY: first thing in a child of one thread, all signals blocked: plain calls of the system, and some of
    // Postgres's that take away what this process alone has. Nothing of Postgres's is used afterwards.
    unsafe {
        pg_sys::on_exit_reset();
        pg_sys::set_ps_display(c"device".as_ptr());
        for signal in 1..=64 {
            libc::signal(signal, libc::SIG_DFL);
        }
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
        let handler = end as *const () as libc::sighandler_t;
        libc::signal(END, handler);
        libc::signal(libc::SIGQUIT, handler);
        libc::prctl(libc::PR_SET_PDEATHSIG, END);
        // A core file would hold all that a driver maps, below the data directory.
        libc::setrlimit(libc::RLIMIT_CORE, &raw const NO_CORE);
        libc::prctl(libc::PR_SET_NAME, c"lumina gpu".as_ptr());
        if libc::getppid() != parent {
            libc::_exit(1);
        }
        // Its segments count no references any more, so that this unmaps them and nothing else.
        pg_sys::dsm_detach_all();
        PGSharedMemoryDetach();
        let nothing = libc::open(c"/dev/null".as_ptr(), libc::O_RDWR);
        if nothing >= 0 {
            libc::dup2(nothing, 0);
            libc::dup2(nothing, 1);
        }
        close_all_but(keep);
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut());
    }
}

/// Closes all files but the standard ones and those in `keep`.
fn close_all_but(keep: &[RawFd]) {
    let mut keep: Vec<RawFd> = keep.iter().copied().filter(|kept| *kept > 2).collect();
    keep.sort_unstable();
    let mut first = 3;
    for end in keep.into_iter().map(Some).chain([None]) {
        let last = end.map_or(u32::MAX, |end| end as u32 - 1);
        if first as u32 <= last {
            // SAFETY: their owners are gone, or never run again in this process.
            unsafe {
                if libc::syscall(libc::SYS_close_range, first as libc::c_uint, last, 0) != 0 {
                    // An old kernel, or a sandbox that forbids the call.
                    (first..=(last.min(65_535) as RawFd)).for_each(|file| _ = libc::close(file));
                }
            }
        }
        first = end.map_or(first, |end| end + 1);
    }
}
