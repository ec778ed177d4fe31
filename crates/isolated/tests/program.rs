//! The program itself: what it may do once it has been told its limits, and what it answers.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use lumina_isolated::{Codec, Refusal, Reply, Start, exit};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

const START: Start = Start { codec: Codec::Av1, pixels: 1 << 20, memory: 32 << 20 };

/// Ends its process.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

const PROGRAM: &str = env!("CARGO_BIN_EXE_lumina-decoder");

fn started() -> Running {
    started_by(&mut Command::new(PROGRAM))
}

fn started_by(command: &mut Command) -> Running {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    Running(command.spawn().unwrap())
}

/// What the program returns when it is ready, and its status.
fn answer(input: &[u8]) -> (Vec<u8>, Option<i32>) {
    let (output, status) = whole_answer(input);
    let ready = Reply::Ready.to_bytes();
    (output.strip_prefix(&ready[..]).unwrap_or_else(|| panic!("not ready: {output:?}, {status:?}")).to_vec(), status)
}

fn whole_answer(input: &[u8]) -> (Vec<u8>, Option<i32>) {
    let mut running = started();
    // It may end before it has read all.
    let _ = running.0.stdin.take().unwrap().write_all(input);
    let mut output = Vec::new();
    running.0.stdout.take().unwrap().read_to_end(&mut output).unwrap();
    (output, running.0.wait().unwrap().code())
}

fn item(bytes: &[u8]) -> Vec<u8> {
    [&START.to_bytes()[..], &(bytes.len() as u64).to_le_bytes(), bytes].concat()
}

#[test]
fn it_has_given_up_its_rights() {
    // By a parent that leaves files open, and has all signals blocked, as threads of a server have.
    let script = "exec 7</etc/passwd 8>>/dev/null; exec env --block-signal \"$0\"";
    let mut running = started_by(Command::new("sh").args(["-c", script, PROGRAM]));
    let id = running.0.id();
    running.0.stdin.as_mut().unwrap().write_all(&START.to_bytes()).unwrap();
    let since = Instant::now();
    let (status, limits) = loop {
        let read = |name: &str| std::fs::read_to_string(format!("/proc/{id}/{name}")).unwrap();
        let (status, limits) = (read("status"), read("limits"));
        // The filter of system calls comes last.
        if status.contains("Seccomp:\t2") {
            break (status, limits);
        }
        assert!(since.elapsed() < Duration::from_secs(20), "no filter of system calls: {status}");
    };
    assert!(status.contains("SigBlk:\t0000000000000000"), "{status}");
    assert!(status.contains("NoNewPrivs:\t1") && status.contains("Threads:\t1"), "{status}");
    let limit = |name: &str| {
        let line = limits.lines().find(|line| line.starts_with(name)).unwrap();
        line[name.len()..].split_whitespace().next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!(["Max core file size", "Max file size", "Max processes"].map(limit), [0; 3]);
    assert!((32 << 20..200 << 20).contains(&limit("Max address space")) && limit("Max cpu time") < 60);
    // Others than root may not look: the process cannot be inspected.
    if let Ok(files) = std::fs::read_dir(format!("/proc/{id}/fd")) {
        let mut files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        files.sort();
        assert_eq!(files, ["0", "1", "2"]);
    }
}

/// What it answers to an item under a kernel without these system calls.
fn answer_without(calls: &[i64]) -> Vec<u8> {
    let rules = calls.iter().map(|&call| (call, Vec::new())).collect();
    let missing = SeccompAction::Errno(libc::ENOSYS as u32);
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, missing, arch).unwrap();
    let program: BpfProgram = filter.try_into().unwrap();
    // The filter is that of a thread, and of the processes that it starts.
    let answer = thread::spawn(move || {
        seccompiler::apply_filter(&program).unwrap();
        whole_answer(&item(&[0x12, 0, 7, 7])).0
    });
    answer.join().unwrap()
}

#[test]
fn it_works_under_a_filter_and_not_without() {
    let (files, calls) = (libc::SYS_landlock_create_ruleset, libc::SYS_seccomp);
    let none = Reply::Refused(Refusal::NoSandbox).to_bytes();
    let damaged = [Reply::Ready, Reply::Refused(Refusal::Damaged)].map(Reply::to_bytes).concat();
    assert_eq!(answer_without(&[libc::SYS_reboot]), damaged);
    assert_eq!(answer_without(&[files]), damaged, "seccomp alone");
    assert_eq!(answer_without(&[calls]), none, "landlock alone");
    assert_eq!(answer_without(&[files, calls]), none);
    // As Linux before 5.9.
    assert_eq!(answer_without(&[libc::SYS_close_range]), damaged);
}

#[test]
fn it_answers_each_item() {
    let refused = |refusal: Refusal| Reply::Refused(refusal).to_bytes();
    assert_eq!(answer(&START.to_bytes()), (Vec::new(), Some(0)));
    let damaged = refused(Refusal::Damaged);
    assert_eq!(answer(&item(&[0x12, 0, 7, 7])), (damaged.to_vec(), Some(0)));
    let two = [&item(&[1; 30])[..], &4u64.to_le_bytes(), &[9; 4]].concat();
    assert_eq!(answer(&two), ([damaged, damaged].concat(), Some(0)));
    assert_eq!(answer(&item(&[])), (damaged.to_vec(), Some(0)));
    let other = Start { codec: Codec::JpegXl, ..START };
    let (output, _) = whole_answer(&[&other.to_bytes()[..], &4u64.to_le_bytes(), &[9; 4]].concat());
    let ready = [Reply::Ready.to_bytes(), damaged].concat();
    assert_eq!(output, if cfg!(feature = "jxl") { ready } else { refused(Refusal::NotBuilt).to_vec() });
}

#[test]
fn it_says_by_its_status_what_it_did_not_understand() {
    for input in [&b"LD0\n"[..], &[0; 64], &START.to_bytes()[..10], b""] {
        assert_eq!(whole_answer(input), (Vec::new(), Some(exit::LANGUAGE)), "{input:?}");
    }
    assert_eq!(answer(&item(&[1; 100])[..50]), (Vec::new(), Some(exit::LANGUAGE)));
}

/// An item that it has no memory for is refused, or ends it with a status that says so.
#[test]
fn its_memory_is_bounded() {
    for length in [64 << 20, 1 << 40, u64::MAX] {
        let (output, status) = answer(&[&START.to_bytes()[..], &length.to_le_bytes()].concat());
        let refused = output == Reply::Refused(Refusal::Memory).to_bytes();
        assert!(refused || status == Some(exit::MEMORY), "{length}: {output:?}, {status:?}");
    }
}
