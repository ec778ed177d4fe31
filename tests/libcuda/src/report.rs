//! The report: calls, live objects, faults. Written when the process ends, and when the control file says so.
//!
//! One line each: `call NAME COUNT`, `alive KIND COUNT`, `peak BYTES`, `lost CODE`, `fault TEXT`; the first line of a
//! report is `process ID`, the last one `end`.
#![allow(unsafe_code, reason = "the C library calls back at the end of a process")]

use crate::driver::{Driver, lock};
use std::fmt::Write as _;
use std::io::Write as _;

extern "C" fn end() {
    // A child of the process inherits the callback, and has nothing to report.
    if let Some(driver) = lock().as_mut()
        && driver.process == std::process::id()
    {
        driver.source.refresh();
        write(driver);
    }
}

/// Registers the report for the end of the process.
pub(crate) fn at_exit() {
    // SAFETY: the function takes no arguments and stays loaded until the C library has called it.
    let failed = unsafe { libc::atexit(end) };
    if failed != 0 {
        eprintln!("stand-in libcuda: there will be no report at the end");
    }
}

/// Appends a report to the file that the control file names.
pub(crate) fn write(driver: &Driver) {
    let Some(path) = &driver.control().report else { return };
    let text = render(driver);
    let appended = std::fs::OpenOptions::new().create(true).append(true).open(path);
    if let Err(error) = appended.and_then(|mut file| file.write_all(text.as_bytes())) {
        eprintln!("stand-in libcuda: {}: {error}", path.display());
    }
}

fn render(driver: &Driver) -> String {
    let mut text = format!("process {}\n", std::process::id());
    for (name, count) in &driver.calls {
        let _ = writeln!(text, "call {name} {count}");
    }
    let streams = driver.streams.iter().filter(|(handle, stream)| **handle != 0 && !stream.is_destroyed).count();
    let alive = [
        ("contexts", driver.references as usize),
        ("allocations", driver.allocations.len()),
        ("pinned", driver.pinned.len()),
        ("streams", streams),
        ("events", driver.events.len()),
        ("modules", driver.modules.len()),
    ];
    for (kind, count) in alive {
        let _ = writeln!(text, "alive {kind} {count}");
    }
    let _ = writeln!(text, "peak {}", driver.peak);
    if let Some(code) = driver.sticky {
        let _ = writeln!(text, "lost {}", code.0);
    }
    for message in &driver.messages {
        let _ = writeln!(text, "fault {}", message.replace('\n', " "));
    }
    text + "end\n"
}
