//! The stand-in under a client that uses cudarc, like the search: the client opens it at run time and does not know it.
//!
//! A lost device stays lost in its process, and the library is found by a variable that is read when a process starts.
//! So each scenario ([`client`]) runs in its own process: this program starts itself again.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(unsafe_code, reason = "cudarc's launches and copies are unsafe")]

mod client;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variable that tells this program to be the client, and which scenario.
const SCENARIO: &str = "LUMINA_CUDA_CLIENT";

/// The library that cargo built beside this program, under its name, in a folder of its own.
fn library(folder: &Path) {
    let program = std::env::current_exe().unwrap();
    let places = [program.parent().unwrap(), program.parent().unwrap().parent().unwrap()];
    let built = places.iter().map(|place| place.join("liblumina_libcuda.so")).find(|path| path.exists()).unwrap();
    std::os::unix::fs::symlink(built, folder.join("libcuda.so.1")).unwrap();
}

/// A report: counts by call or kind, and the messages.
#[derive(Debug, Default)]
struct Report {
    counts: BTreeMap<String, u64>,
    faults: Vec<String>,
    processes: usize,
}

impl Report {
    fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.ends_with("end\n"), "{text}");
        let mut report = Self::default();
        for line in text.lines() {
            match line.split_once(' ') {
                Some(("process", _)) => report.processes += 1,
                Some(("fault", message)) => report.faults.push(message.to_owned()),
                _ => {
                    if let Some((name, count)) = line.rsplit_once(' ') {
                        report.counts.insert(name.to_owned(), count.parse().unwrap());
                    }
                }
            }
        }
        report
    }

    fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// What is still alive.
    fn alive(&self) -> u64 {
        self.counts.iter().filter(|(name, _)| name.starts_with("alive ")).map(|(_, count)| count).sum()
    }
}

/// Runs a scenario with a control file; the client's assertions must hold.
fn scenario(name: &str, control: &str) -> Report {
    let folder = tempfile::tempdir().unwrap();
    library(folder.path());
    let (file, report): (PathBuf, PathBuf) = (folder.path().join("control"), folder.path().join("report"));
    std::fs::write(&file, format!("{control}\nreport {}\n", report.display())).unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["the_client", "--exact", "--nocapture"])
        .env(SCENARIO, name)
        .env("LUMINA_CUDA_STANDIN", &file)
        .env("LD_LIBRARY_PATH", folder.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    assert!(output.status.success() && text.contains(client::DONE), "{name}: {text}");
    Report::read(&report)
}

/// Not a test of its own: the client, in the process that [`scenario`] starts.
#[test]
fn the_client() {
    if let Ok(name) = std::env::var(SCENARIO) {
        client::run(&name);
        println!("{}", client::DONE);
    }
}

#[test]
fn a_clean_run_leaves_nothing() {
    let report = scenario("clean", "name A card\ncapability 8.6\nmemory 1000000");
    assert_eq!(report.alive(), 0, "{report:?}");
    assert_eq!(report.count("call launch"), 3);
    assert!(report.count("peak") >= 8 * 1000 && report.faults.is_empty());
    assert_eq!(report.processes, 1);
}

#[test]
fn what_is_left_is_counted() {
    let report = scenario("leaks", "");
    assert_eq!(report.count("alive allocations"), 2);
    assert_eq!(report.count("alive pinned"), 1);
    assert_eq!(report.count("alive contexts"), 1);
}

#[test]
fn results_that_are_read_too_early_are_old() {
    scenario("too early", "");
    // Work that is done at once hides the mistake.
    scenario("too early, unseen", "eager");
}

#[test]
fn sources_that_change_too_early_are_seen() {
    scenario("pinned source", "");
    scenario("pageable sources", "");
}

#[test]
fn no_device_and_no_driver() {
    scenario("init fails with 100", "devices 0");
    scenario("init fails with 804", "init 804");
    scenario("init fails with 3", "fail cuDeviceGetCount 1 3");
}

#[test]
fn a_card_that_others_fill() {
    scenario("full", "other-context-full");
}

#[test]
fn out_of_memory_is_an_answer() {
    let report = scenario("out of memory", "memory 100000");
    assert_eq!((report.alive(), report.count("peak") <= 100_000), (0, true));
    scenario("third allocation fails", "fail cuMemAllocAsync 3 2");
    scenario("no pools", "pools 0");
}

#[test]
fn faults_of_kernels_lose_the_device() {
    for (name, words) in [
        ("address: lost with 700", "behind the start of an allocation"),
        ("misaligned: lost with 716", "not aligned"),
        ("trap: lost with 719", "trap"),
        ("race: lost with 719", "races"),
        ("unwritten: lost with 719", "nothing was written"),
    ] {
        let report = scenario(name, "");
        assert!(report.faults.iter().any(|fault| fault.contains(words)), "{name}: {report:?}");
        assert_eq!(report.count("lost"), name[name.len() - 3..].parse().unwrap());
    }
    scenario("endless: lost with 702", "limit 10000");
    scenario("good: lost with 214", "sticky 214 at launch 2");
    // Disables a check that no GPU has.
    scenario("race: not lost", "races allow");
    scenario("unwritten: not lost", "unwritten allow");
}

#[test]
fn images_are_refused_as_the_driver_does() {
    let report = scenario("images", "capability 7.5\nptx 7.0");
    assert!(report.faults.iter().any(|fault| fault.contains("tex.2d")), "{report:?}");
}

#[test]
fn calls_with_wrong_arguments() {
    scenario("arguments", "");
}

#[test]
fn what_waits_and_what_does_not() {
    let report = scenario("waits", "");
    assert_eq!(report.alive(), 0, "{report:?}");
}

#[test]
fn orders_and_events() {
    scenario("events", "slow 5ms");
    scenario("clean", "order shuffled 3\ncapability 8.6\nname A card\nmemory 1000000");
}

#[test]
fn a_running_process_can_be_told() {
    let report = scenario("told", "");
    assert_eq!(report.processes, 2, "a report on demand, and one at the end");
}

#[test]
fn nothing_survives_a_fork() {
    assert_eq!(scenario("forked", "").processes, 1);
}

#[test]
fn a_slip_in_the_control_file_ends_the_process() {
    let folder = tempfile::tempdir().unwrap();
    library(folder.path());
    let file = folder.path().join("control");
    std::fs::write(&file, "memory a lot\n").unwrap();
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["the_client", "--exact", "--nocapture"])
        .env(SCENARIO, "clean")
        .env("LUMINA_CUDA_STANDIN", &file)
        .env("LD_LIBRARY_PATH", folder.path())
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("line 1: \"memory a lot\" is not understood"));
}
