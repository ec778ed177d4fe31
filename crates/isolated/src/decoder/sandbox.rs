//! Takes all rights from the process but to compute, to read its input, and to write its output.
//!
//! seccomp takes all system calls but some that concern memory and the two pipes, and ends the process at any other:
//! it does nothing where that lock cannot be had. landlock takes files, and where the kernel is new enough sockets and
//! signals, should the filter have a hole; alone it would not suffice, since the sockets of the file system are open to
//! it. Limits of resources bound memory and time, and forbid further processes and core dumps (which would hold the
//! picture).

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr};
use landlock::{RulesetError, Scope};
use lumina_isolated::Start;
use rustix::process::{
    DumpableBehavior, Resource, Rlimit, Signal, set_dumpable_behavior, set_parent_process_death_signal,
};
use rustix::process::{getrlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};
use std::collections::BTreeMap;
use std::fs;
use std::mem::MaybeUninit;
use std::ptr;

/// The kernel does not offer the lock, or a limit could not be set.
#[derive(Debug)]
pub(crate) struct NotLocked;

/// Puts away what the parent has left: files, which may be a database's, all but input, output and errors; and the mask
/// of signals, without which spent time could not be told.
#[allow(unsafe_code)]
pub(crate) fn forget_parent() -> Result<(), NotLocked> {
    let mut none = MaybeUninit::uninit();
    // SAFETY: the set is filled in before it is read; no signal has a handler. `close_range` is called by its number
    // since old C libraries have no function for it; nothing has been opened yet, so nobody uses what is closed.
    let is_closed = unsafe {
        libc::sigemptyset(none.as_mut_ptr());
        libc::sigprocmask(libc::SIG_SETMASK, none.as_ptr(), ptr::null_mut());
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, 0) == 0
    };
    if is_closed {
        return Ok(());
    }
    // Linux before 5.9. The list is read to its end first, and its own file closed with it.
    let open = fs::read_dir("/proc/self/fd").map_err(|_| NotLocked)?;
    let open: Result<Vec<_>, _> = open.map(|file| file.map(|file| file.file_name())).collect();
    for file in open.map_err(|_| NotLocked)?.iter().filter_map(|name| name.to_str()?.parse().ok()) {
        if file > 2 {
            // SAFETY: as above.
            unsafe { libc::close(file) };
        }
    }
    Ok(())
}

/// Gives up all rights. Memory may be used in addition to what is mapped now, and time in proportion to the pixels.
pub(crate) fn enter(start: &Start) -> Result<(), NotLocked> {
    // Where memory is short, the system is to end this process and not its parent.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let mapped = mapped().ok_or(NotLocked)?;
    let limits = [
        (Resource::As, mapped.saturating_add(start.memory)),
        (Resource::Cpu, start.seconds()),
        (Resource::Core, 0),
        (Resource::Fsize, 0),
        (Resource::Nproc, 0),
    ];
    for (resource, most) in limits {
        let within = |most: u64| getrlimit(resource).maximum.map_or(most, |allowed| allowed.min(most));
        // The signal of spent time says so; a second later comes the one that says nothing.
        let last = within(if resource == Resource::Cpu { most + 1 } else { most });
        setrlimit(resource, Rlimit { current: Some(within(most)), maximum: Some(last) }).map_err(|_| NotLocked)?;
    }
    // Neither is needed for safety.
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    // As much of it as there is: the filter must hold without.
    let _ = landlocked();
    filtered().ok_or(NotLocked)
}

/// What is mapped, in bytes.
fn mapped() -> Option<u64> {
    let pages: u64 = fs::read_to_string("/proc/self/statm").ok()?.split(' ').next()?.parse().ok()?;
    pages.checked_mul(rustix::param::page_size() as u64)
}

/// No file, no socket, no signal, as far as the kernel knows how.
fn landlocked() -> Result<RestrictionStatus, RulesetError> {
    const NEWEST: ABI = ABI::V6;
    Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::from_all(NEWEST))?
        .scope(Scope::from_all(NEWEST))?
        .create()?
        .restrict_self()
}

/// Only system calls that the decoder and Rust's runtime make.
fn filtered() -> Option<()> {
    let always = |number| (number, Vec::new());
    let only =
        |number, conditions: Option<Vec<SeccompCondition>>| Some((number, vec![SeccompRule::new(conditions?).ok()?]));
    let argument = |index, is, value| SeccompCondition::new(index, SeccompCmpArgLen::Dword, is, value).ok();
    let bit =
        |index, bit: i32, is: bool| argument(index, SeccompCmpOp::MaskedEq(bit as u64), u64::from(is) * bit as u64);
    let not_executable = || Some(vec![bit(2, libc::PROT_EXEC, false)?]);
    // A file that was left open is not mapped.
    let of_no_file = || Some(vec![bit(2, libc::PROT_EXEC, false)?, bit(3, libc::MAP_ANONYMOUS, true)?]);
    let first = |is| Some(vec![argument(0, SeccompCmpOp::Eq, is)?]);
    let not_input = || Some(vec![argument(0, SeccompCmpOp::Le, 2)?, argument(0, SeccompCmpOp::Ge, 1)?]);
    let rules: BTreeMap<i64, Vec<SeccompRule>> = [
        only(libc::SYS_read, first(0))?,
        only(libc::SYS_write, not_input())?,
        only(libc::SYS_mmap, of_no_file())?,
        only(libc::SYS_mprotect, not_executable())?,
        always(libc::SYS_brk),
        always(libc::SYS_clock_gettime),
        always(libc::SYS_exit),
        always(libc::SYS_exit_group),
        always(libc::SYS_futex),
        always(libc::SYS_getrandom),
        always(libc::SYS_madvise),
        always(libc::SYS_mremap),
        always(libc::SYS_munmap),
        always(libc::SYS_restart_syscall),
        always(libc::SYS_rt_sigprocmask), // getrandom, of glibc 2.41 and later
        always(libc::SYS_rt_sigreturn),
        always(libc::SYS_sched_yield),
        always(libc::SYS_sigaltstack),
    ]
    .into();
    let arch = std::env::consts::ARCH.try_into().ok()?;
    let filter = SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, arch).ok()?;
    let program: BpfProgram = filter.try_into().ok()?;
    seccompiler::apply_filter(&program).ok()
}

#[cfg(test)]
mod tests;
