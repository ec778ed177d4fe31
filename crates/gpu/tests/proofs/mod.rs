//! Compiles the proofs of `host/` with a C++ compiler into a temporary directory and runs them: for `host.rs`, in which
//! all must pass, and `planted.rs`, in which they must find bugs.

#![allow(clippy::unwrap_used, reason = "a test may fail")]
#![allow(dead_code, reason = "not every test uses all of it")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The proofs, one program each: the kernels of the file of that name.
pub(crate) const KINDS: [&str; 5] = ["brute_b1", "brute_s8", "brute_popc", "banded", "collapse"];

/// How a proof is compiled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Mode {
    /// As it is, with all sizes.
    Plain,
    /// With the address and undefined-behaviour sanitizers.
    Address,
    /// With the thread sanitizer.
    Thread,
}

/// The result of a proof.
pub(crate) enum Outcome {
    /// All checks passed; its last line.
    Right(String),
    /// A check failed: the first line that says so.
    Found(String),
    /// The compiler's messages.
    DoesNotCompile(String),
}

/// The folder of this crate.
pub(crate) fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The C++ compiler.
pub(crate) fn compiler() -> String {
    std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned())
}

/// Whether there is a C++ compiler; if not, prints what is skipped.
pub(crate) fn has_compiler() -> bool {
    let has = Command::new(compiler()).arg("--version").output().is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("skipped: the kernels are not proved, there is no {}", compiler());
    }
    has
}

/// Seconds after which a proof counts as an endless loop, which some planted bugs cause.
const LIMIT: &str = "300";

/// The proofs in one mode; `host/` and `kernels/` are copied, so that bugs can be planted in the copy.
pub(crate) struct Proofs {
    mode: Mode,
    directory: TempDir,
}

impl Proofs {
    /// Copies the sources and compiles the runtime, without sanitizers.
    pub(crate) fn new(mode: Mode) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for part in ["host", "kernels"] {
            std::fs::create_dir(directory.path().join(part)).unwrap();
            for file in std::fs::read_dir(folder().join(part)).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), directory.path().join(part).join(file.file_name())).unwrap();
            }
        }
        let proofs = Proofs { mode, directory };
        let mut command = proofs.compile("host/cuda.cpp");
        command.arg("-c").args(match mode {
            Mode::Plain => &[][..],
            Mode::Address => &["-DHOST_ASAN"],
            Mode::Thread => &["-DHOST_TSAN"],
        });
        let output = command.arg("-o").arg(proofs.path("cuda.o")).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        proofs
    }

    /// How they are compiled.
    pub(crate) fn mode(&self) -> Mode {
        self.mode
    }

    /// A file of the copy.
    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    fn compile(&self, source: &str) -> Command {
        let mut command = Command::new(compiler());
        command.args(["-std=c++17", "-Wall", "-Wextra", "-Wno-unknown-pragmas", "-DLUMINA_HOST"]);
        // Sanitizers take long to compile with optimization; the thread sanitizer runs even longer without.
        command.arg(if self.mode == Mode::Address { "-O0" } else { "-O1" });
        if cfg!(target_arch = "x86_64") {
            command.arg("-mpopcnt");
        }
        command.arg(self.path(source));
        command
    }

    /// Compiles and runs the proof of `kind`.
    pub(crate) fn run(&self, kind: &str) -> Outcome {
        let program = self.path(kind);
        let mut command = self.compile(&format!("host/{kind}.cpp"));
        command.arg(self.path("cuda.o")).arg("-o").arg(&program).args(match self.mode {
            Mode::Plain => &[][..],
            Mode::Address => &["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"],
            Mode::Thread => &["-fsanitize=thread"],
        });
        let output = command.output().unwrap();
        if !output.status.success() {
            return Outcome::DoesNotCompile(text_of(&output));
        }
        self.start(&program)
    }

    fn start(&self, program: &Path) -> Outcome {
        let mut command = Command::new("timeout");
        command.arg(LIMIT);
        // Under address randomization, some host kernels map other things where the thread sanitizer needs its memory.
        if self.mode == Mode::Thread && can_fix_addresses() {
            command.args(["setarch", "-R"]);
        }
        command.arg(program);
        // The sanitizers do not know the stacks of fibers.
        command.env("ASAN_OPTIONS", "detect_stack_use_after_return=0:detect_leaks=0");
        command.env("TSAN_OPTIONS", "halt_on_error=1:report_thread_leaks=0");
        if self.mode != Mode::Plain {
            command.arg("small");
        }
        let output = command.output().unwrap();
        let text = text_of(&output);
        if output.status.success() {
            return Outcome::Right(text.lines().last().unwrap_or_default().to_owned());
        }
        let tells = ["WRONG", "FAULT", "runtime error", "ERROR: AddressSanitizer", "data race"];
        let line = text.lines().find(|line| tells.iter().any(|tell| line.contains(tell)));
        Outcome::Found(line.map_or_else(|| format!("{}", output.status), |line| line.trim().to_owned()))
    }
}

/// Whether address randomization can be turned off: a container may forbid it.
fn can_fix_addresses() -> bool {
    Command::new("setarch").args(["-R", "true"]).output().is_ok_and(|output| output.status.success())
}

fn text_of(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
}
