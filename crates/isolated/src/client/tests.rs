//! The client with programs that are not what they should be: shell scripts.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use super::*;
use crate::Codec;
use std::cell::Cell;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use tempfile::TempDir;

const START: Start = Start { codec: Codec::Av1, pixels: 1 << 20, memory: 1 << 26 };
/// More than a pipe holds.
const ITEM: &[u8] = &[7; 1 << 20];

/// What a script says first.
const READY: &str = r"printf '\2\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0'";

fn script(text: &str) -> (TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("program");
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(&path).unwrap();
    writeln!(file, "#!/bin/sh\n{text}").unwrap();
    (folder, path)
}

fn never() -> bool {
    false
}

/// What an item gets from a script that has little time; the program is gone behind it.
fn answer(text: &str) -> Result<Frame, Failure> {
    answer_of(&format!("{READY}\n{text}"))
}

fn answer_of(text: &str) -> Result<Frame, Failure> {
    let (_folder, path) = script(text);
    let mut program = started(&path, &never)?;
    program.patience = Duration::from_millis(300);
    let process = program.process.id();
    let frame = program.greet(START).and_then(|()| program.decode(&[ITEM, ITEM]));
    let frame = frame.and_then(|frame| {
        let mut samples = [0; 256];
        program.receive(&mut samples)?;
        Ok(frame)
    });
    drop(program);
    assert!(!Path::new(&format!("/proc/{process}")).exists(), "{text}: it is left over");
    frame
}

/// Another test may have forked while the script was open for writing, so that it is still busy for a moment.
fn started<'a>(path: &Path, is_cancelled: &'a dyn Fn() -> bool) -> Result<Program<'a>, Failure> {
    for _ in 0..200 {
        match Program::spawn(path, START, is_cancelled) {
            Err(Failure::Program(why)) if why.contains("busy") => thread::sleep(Duration::from_millis(10)),
            result => return result,
        }
    }
    panic!("the script stays busy");
}

#[test]
fn a_missing_program_is_named() {
    for path in ["/nowhere/lumina-decoder", "/", "/dev/null"] {
        let failure = Program::start(Path::new(path), START, &never).map(|_| ()).unwrap_err();
        assert!(matches!(&failure, Failure::Program(why) if why.starts_with("cannot be started")), "{failure:?}");
    }
}

#[test]
fn a_status_says_why() {
    let why = |text: &str| answer(text).unwrap_err();
    assert!(matches!(why("exit 12"), Failure::Refused(Refusal::Memory)));
    assert!(matches!(why("exit 101"), Failure::Failed("it broke off")));
    assert!(matches!(why("exit 0"), Failure::Failed("it broke off")));
    assert!(matches!(why("kill -KILL $$"), Failure::System));
    assert!(matches!(why("kill -SEGV $$"), Failure::Failed("it broke off")));
    assert!(matches!(why("kill -XCPU $$"), Failure::Failed("it takes too long")));
}

/// What fails before the program is ready has seen nothing of the file, and says nothing of it.
#[test]
fn a_program_that_does_not_work_is_named() {
    let refused = r"printf '\0\3\0\0\0\0\0\0\0\0\0\0\0\0\0\0'";
    assert!(matches!(answer_of(refused), Err(Failure::Refused(Refusal::NoSandbox))));
    assert!(matches!(answer_of("exit 12"), Err(Failure::Refused(Refusal::Memory))));
    assert!(matches!(answer_of("kill -KILL $$"), Err(Failure::System)));
    for (text, expected) in [
        ("exit 22", "is of another version"),
        ("exit 127", "cannot be run"),
        ("exit 0", "does not work: it broke off"),
        ("kill -SEGV $$", "does not work: it broke off"),
        ("exec sleep 100", "does not work: it does not answer"),
        ("exec cat", "is of another version"),
        ("yes", "is of another version"),
    ] {
        let failure = answer_of(text).unwrap_err();
        assert!(matches!(&failure, Failure::Program(why) if why == expected), "{text}: {failure:?}");
    }
}

/// One that gives a byte now and then, or computes without end, has its time.
#[test]
fn time_is_bounded() {
    for text in ["while :; do printf '\\1'; sleep 0.05; done", "while :; do :; done"] {
        let (_folder, path) = script(&format!("{READY}\n{text}"));
        let mut program = started(&path, &never).unwrap();
        program.greet(START).unwrap();
        program.deadline = Instant::now() + Duration::from_millis(700);
        let frame = program.decode(&[]);
        let mut samples = [0; 4096];
        let failure = frame.map(|_| ()).or_else(|_| program.receive(&mut samples)).unwrap_err();
        assert!(matches!(failure, Failure::Failed("it takes too long")), "{text}: {failure:?}");
    }
}

#[test]
fn nonsense_is_refused() {
    for text in ["yes", "printf '0123456789abcdefghi'; cat >/dev/null", "printf '\\1'; sleep 100"] {
        assert!(matches!(answer(text), Err(Failure::Failed(_))), "{text}");
    }
    // Closed, but not ended.
    assert!(matches!(answer("exec >&-; exec sleep 100"), Err(Failure::Failed(_))));
    // It answers before it has read, and reads no more.
    let refused = "printf '\\0\\2\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0\\0'";
    assert!(matches!(answer(refused), Err(Failure::Refused(Refusal::Memory))));
    // An item is not answered by that one is ready.
    assert!(matches!(answer(READY), Err(Failure::Failed(_))));
}

#[test]
fn samples_must_be_whole() {
    let frame = "head -c 2097184 >/dev/null; printf '\\1\\0\\10\\2\\2\\2\\1\\0\\20\\0\\0\\0\\20\\0\\0\\0'";
    let short = answer(&format!("{frame}; printf 'too few'")).unwrap_err();
    assert!(matches!(short, Failure::Failed(_)), "{short:?}");
    let whole = answer(&format!("{frame}; head -c 300 /dev/zero; exec sleep 100"));
    assert!(whole.is_ok(), "{whole:?}");
}

#[test]
fn silence_is_given_up() {
    for text in ["exec sleep 100", "kill -STOP $$", "head -c 2097184 >/dev/null; kill -STOP $$"] {
        let since = Instant::now();
        assert!(matches!(answer(text), Err(Failure::Failed("it does not answer"))), "{text}");
        assert!(since.elapsed() < Duration::from_secs(10), "{text}");
    }
}

#[test]
fn work_is_not_given_up_but_cancelled() {
    for text in
        ["while :; do :; done", "kill -STOP $$", "head -c 1048608 >/dev/null; while :; do :; done", "exec sleep 100"]
    {
        let (_folder, path) = script(&format!("{READY}\n{text}"));
        let deadline = Cell::new(None::<Instant>);
        let is_cancelled = || deadline.get().is_some_and(|deadline| Instant::now() > deadline);
        let mut program = started(&path, &is_cancelled).unwrap();
        program.greet(START).unwrap();
        if text.contains("while") {
            program.patience = Duration::from_millis(300);
        }
        let process = program.process.id();
        deadline.set(Some(Instant::now() + Duration::from_millis(1500)));
        let since = Instant::now();
        assert!(matches!(program.decode(&[ITEM]), Err(Failure::Cancelled)), "{text}");
        assert!(since.elapsed() < Duration::from_millis(2500), "{text}: {:?}", since.elapsed());
        drop(program);
        assert!(!Path::new(&format!("/proc/{process}")).exists(), "{text}: it is left over");
    }
}

#[test]
fn a_caller_who_has_cancelled_starts_nothing_to_the_end() {
    let (_folder, path) = script("exec sleep 100");
    let failure = started(&path, &|| true).unwrap().greet(START).unwrap_err();
    assert!(matches!(failure, Failure::Cancelled));
}

#[test]
fn processor_time_is_read() {
    let used = processor_time(std::process::id()).unwrap();
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(300) {}
    assert!(processor_time(std::process::id()).unwrap() > used);
    assert_eq!(processor_time(u32::MAX), None);
}
