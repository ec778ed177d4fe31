//! A server with a GPU: its GPU process finds the stand-in for the driver (`tests/libcuda`).

use crate::cluster::{Cluster, wait_until};
use crate::installation::give;
use std::collections::BTreeMap;
use std::path::PathBuf;
use tempfile::TempDir;

/// The card that the stand-in emulates, and its faults.
#[derive(Debug)]
pub struct Card {
    folder: TempDir,
}

impl Card {
    /// A card described by the lines of a control file (`tests/libcuda/src/control.rs`).
    pub fn new(lines: &str) -> Self {
        let folder = tempfile::Builder::new().prefix("lumina-card-").tempdir_in("/tmp").expect("a temporary folder");
        let card = Card { folder };
        give(card.folder.path());
        let beside = std::env::current_exe().expect("a program").parent().expect("a folder").to_owned();
        let built = [beside.join("liblumina_libcuda.so"), beside.join("../liblumina_libcuda.so")];
        let library = built.iter().find(|path| path.exists()).expect("the stand-in is built with these tests");
        std::os::unix::fs::symlink(library, card.path("libcuda.so.1")).expect("a link");
        card.set(lines);
        card
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Changes it, also for a running driver.
    pub fn set(&self, lines: &str) {
        let new = self.path("control.new");
        let text = format!("report {}\n{lines}\n", self.path("report").display());
        std::fs::write(&new, text).expect("a control file");
        std::fs::rename(new, self.path("control")).expect("a control file");
    }

    /// Installs the driver, or removes it.
    pub fn install(&self, is_there: bool) {
        let (here, away) = (self.path("libcuda.so.1"), self.path("away"));
        let (from, to) = if is_there { (away, here) } else { (here, away) };
        std::fs::rename(from, to).expect("a link");
    }

    /// A server that finds it.
    pub fn server(&self, settings: &[(&str, &str)]) -> Cluster {
        let variables =
            [("LD_LIBRARY_PATH", self.folder.path().to_path_buf()), ("LUMINA_CUDA_STANDIN", self.path("control"))];
        let text = |path: &PathBuf| path.to_str().expect("a path in UTF-8").to_owned();
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, path)| ((*name).to_owned(), text(path))).collect();
        Cluster::start_in(&variables, settings)
    }

    /// The last report: calls, live objects, and other lines by their first word.
    pub fn report(&self) -> Report {
        let text = std::fs::read_to_string(self.path("report")).unwrap_or_default();
        let last = text.split("process ").last().unwrap_or_default();
        let mut report = Report::default();
        for line in last.lines() {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words[..] {
                ["call", name, count] => _ = report.calls.insert(name.to_owned(), count.parse().expect("a count")),
                ["alive", kind, count] => _ = report.alive.insert(kind.to_owned(), count.parse().expect("a count")),
                ["fault", ..] => report.faults.push(line.to_owned()),
                ["end"] => report.is_whole = true,
                _ => {}
            }
        }
        report
    }

    /// Makes the driver report at its next call, which `act` must cause.
    pub fn report_now(&self, lines: &str, word: &str, mut act: impl FnMut()) -> Report {
        let _ = std::fs::remove_file(self.path("report"));
        self.set(&format!("{lines}\nreport-now {word}"));
        let mut report = Report::default();
        wait_until("the driver reports", || {
            act();
            report = self.report();
            report.is_whole
        });
        report
    }
}

/// A driver's report.
#[derive(Debug, Default)]
pub struct Report {
    /// How often each function was called.
    pub calls: BTreeMap<String, u64>,
    /// The number of live objects of each kind.
    pub alive: BTreeMap<String, u64>,
    /// Faults that no real driver reports.
    pub faults: Vec<String>,
    is_whole: bool,
}
