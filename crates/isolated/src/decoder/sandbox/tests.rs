//! What a process that has given up its rights may still do: this program of tests is started again for each attempt.
#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(unsafe_code)]

use super::*;
use lumina_isolated::Codec;
use std::io;
use std::net::TcpListener;
use std::os::unix::net::UnixDatagram;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;

/// Names the attempt that a process is for.
const ATTEMPT: &str = "LUMINA_ATTEMPT";
const ATTEMPTED: i32 = 77;
const SIGSYS: i32 = 31;

fn map(protection: i32, flags: i32, file: i32) {
    // SAFETY: the kernel chooses the place, where nothing is.
    unsafe { libc::mmap(ptr::null_mut(), 4096, protection, flags, file, 0) };
}

fn attempt(what: &str) {
    let memory = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: plain calls; what they give is not used.
    unsafe {
        match what {
            "map memory" => map(libc::PROT_READ | libc::PROT_WRITE, memory, -1),
            "map a program" => map(libc::PROT_READ | libc::PROT_EXEC, memory, -1),
            "map a file" => map(libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED, 0),
            "make a program of memory" => drop(libc::mprotect(ptr::null_mut(), 0, libc::PROT_EXEC)),
            "open" => drop(libc::open(c"/etc/passwd".as_ptr(), libc::O_RDONLY)),
            "remove" => drop(libc::unlink(c"/nowhere/file".as_ptr())),
            "socket" => drop(libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0)),
            "signal" => drop(libc::kill(libc::getppid(), 0)),
            "fork" => drop(libc::fork()),
            "run" => drop(libc::execv(c"/bin/true".as_ptr(), [ptr::null()].as_ptr())),
            "control" => drop(libc::prctl(libc::PR_SET_PDEATHSIG, 0, 0, 0, 0)),
            "read another file" => drop(libc::read(2, ptr::null_mut(), 0)),
            "write another file" => drop(libc::write(0, ptr::null(), 0)),
            "read" => drop(libc::read(0, ptr::null_mut(), 0)),
            "write" => drop(libc::write(1, ptr::null(), 0)),
            what => unreachable!("{what}"),
        }
    }
}

/// In a process of its own: gives up all rights, and attempts something.
#[test]
fn attempted() {
    let Ok(what) = std::env::var(ATTEMPT) else { return };
    enter(&Start { codec: Codec::Av1, pixels: 1, memory: 32 << 20 }).unwrap();
    attempt(&what);
    // SAFETY: it ends the process, and runs nothing of it.
    unsafe { libc::_exit(ATTEMPTED) }
}

#[test]
fn only_memory_and_two_pipes_are_left() {
    let status = |what: &str| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "sandbox::tests::attempted", "--test-threads=1"]).env(ATTEMPT, what);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap()
    };
    for what in ["map memory", "read", "write"] {
        assert_eq!(status(what).code(), Some(ATTEMPTED), "{what}");
    }
    for what in [
        "map a program",
        "map a file",
        "make a program of memory",
        "open",
        "remove",
        "socket",
        "signal",
        "fork",
        "run",
        "control",
        "read another file",
        "write another file",
    ] {
        assert_eq!(status(what).signal(), Some(SIGSYS), "{what}: {}", status(what));
    }
}

/// Without the filter: files are out of reach, and ports where the kernel is new enough.
#[test]
fn landlock_takes_files() {
    let denied = |result: io::Result<()>| result.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied);
    thread::spawn(move || {
        let status = landlocked().unwrap();
        let landlock::LandlockStatus::Available { effective_abi, .. } = status.landlock else {
            println!("skipped: this kernel has no landlock");
            return;
        };
        assert!(denied(fs::read("/etc/passwd").map(drop)));
        assert!(denied(fs::write("/tmp/lumina-landlock", "").map(drop)));
        assert!(denied(UnixDatagram::bind("/tmp/lumina-landlock").map(drop)));
        assert!(effective_abi < ABI::V4 || denied(TcpListener::bind("127.0.0.1:0").map(drop)));
    })
    .join()
    .unwrap();
}
