//! Takes all rights from the process but to compute, to read its input, and to write its output.
//!
//! Two locks of Linux, of which each alone suffices: landlock takes files, and where the kernel is new enough sockets
//! and signals; seccomp takes all system calls but some that concern memory and the two pipes, and ends the process at
//! any other. Limits of resources bound memory and time, and forbid further processes and core dumps (which would hold
//! the picture). The process does nothing where neither lock can be had.

use landlock::{ABI, Access, AccessFs, AccessNet, CompatLevel, Compatible, RestrictionStatus, Ruleset, RulesetAttr};
use landlock::{RulesetError, RulesetStatus, Scope};
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

/// Processor time of any file, and pixels that take a second more: the slowest decode some ten times as many.
const SECONDS: u64 = 10;
const PIXELS_A_SECOND: u64 = 250_000;

/// The kernel offers neither lock, or a limit could not be set.
pub(crate) struct NotLocked;

/// Closes all files but input, output and errors: the parent's may be a database's.
#[allow(unsafe_code)]
pub(crate) fn close_files() {
    // SAFETY: nothing has been opened yet, so nobody uses what is closed.
    unsafe { libc::close_range(3, libc::c_uint::MAX, 0) };
}

/// Gives up all rights. Memory may be used in addition to what is mapped now, and time in proportion to the pixels.
pub(crate) fn enter(start: &Start) -> Result<(), NotLocked> {
    // Where memory is short, the system is to end this process and not its parent.
    let _ = fs::write("/proc/self/oom_score_adj", "1000");
    let mapped = mapped().ok_or(NotLocked)?;
    let limits = [
        (Resource::As, mapped.saturating_add(start.memory)),
        (Resource::Cpu, SECONDS + u64::from(start.pixels) / PIXELS_A_SECOND),
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
    let files = landlocked().is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced);
    let calls = filtered().is_some();
    if files || calls { Ok(()) } else { Err(NotLocked) }
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
    let not_executable = || Some(vec![argument(2, SeccompCmpOp::MaskedEq(libc::PROT_EXEC as u64), 0)?]);
    let first = |is| Some(vec![argument(0, SeccompCmpOp::Eq, is)?]);
    let not_input = || Some(vec![argument(0, SeccompCmpOp::Le, 2)?, argument(0, SeccompCmpOp::Ge, 1)?]);
    let rules: BTreeMap<i64, Vec<SeccompRule>> = [
        only(libc::SYS_read, first(0))?,
        only(libc::SYS_write, not_input())?,
        only(libc::SYS_mmap, not_executable())?,
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
        always(libc::SYS_rt_sigprocmask),
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
