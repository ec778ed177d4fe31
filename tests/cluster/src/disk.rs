//! A disk that can be filled: a small file system of its own.

use crate::installation;
use postgres::Client;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory, unmounted when dropped.
#[derive(Debug)]
pub struct Disk(PathBuf);

impl Disk {
    /// Mounts one, for the user who runs the servers; `None` without the right to mount.
    pub fn mount(folder: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64m", "tmpfs"]).arg(&folder).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            return None;
        }
        installation::give(&folder);
        Some(Disk(folder))
    }

    /// Its mount point.
    pub fn folder(&self) -> &Path {
        &self.0
    }

    /// Limits it to its used size plus `bytes`, in pages.
    pub fn leave(&self, bytes: u64) {
        let used = Command::new("df").args(["--output=used", "-B1"]).arg(&self.0).output().unwrap();
        let used = String::from_utf8_lossy(&used.stdout).lines().last().unwrap().trim().parse::<u64>().unwrap();
        let size = format!("remount,size={}", used + bytes);
        assert!(Command::new("mount").args(["-o", &size]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.0).output());
    }
}

/// Asserts that a failed job reports a full disk.
pub fn assert_disk_full(session: &mut Client, job: i64) {
    let error = "SELECT error_code, error_sqlstate, error_hint FROM lumina.jobs WHERE id = $1";
    let row = session.query_one(error, &[&job]).unwrap();
    assert_eq!((row.get::<_, &str>(0), row.get::<_, &str>(1)), ("disk_full", "53100"));
    assert!(row.get::<_, &str>(2).contains("disk space"));
}
