//! Which Postgres the clusters run, and as which user.
//!
//! The private copy that `scripts/setup` unpacks, with lumina installed into it by `scripts/install-private`. Postgres
//! refuses to run as root, so that root runs it as the user `$LUMINA_RUN_AS`, `postgres` if that is not set.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder of Postgres's programs: `$LUMINA_PG_BIN`, which `scripts/env.sh` sets, or that of Postgres 15.
pub fn programs() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/pg/15/usr/lib/postgresql/15/bin");
    let folder = std::env::var_os("LUMINA_PG_BIN").map_or_else(default, PathBuf::from);
    assert!(folder.join("postgres").exists(), "no Postgres in {}: run `make test`", folder.display());
    folder
}

/// One of Postgres's programs, run as the servers' user.
pub fn program(name: &str) -> Command {
    as_server_user(&programs().join(name))
}

/// One of the system's programs, run as the same user.
pub fn system_program(name: &str) -> Command {
    as_server_user(Path::new(name))
}

fn as_server_user(path: &Path) -> Command {
    match server_user() {
        Some(user) => {
            let mut command = Command::new("runuser");
            command.args(["-u", &user, "--"]).arg(path).current_dir("/");
            command
        }
        None => Command::new(path),
    }
}

/// The user who runs the servers, where that is another one than ours.
pub fn server_user() -> Option<String> {
    (id(&["-u"]) == 0).then(|| std::env::var("LUMINA_RUN_AS").unwrap_or_else(|_| "postgres".into()))
}

/// Gives a file or folder to the user who runs the servers.
pub fn give(path: &Path) {
    if let Some(user) = server_user() {
        std::os::unix::fs::chown(path, Some(id(&["-u", &user])), Some(id(&["-g", &user]))).expect("chown");
    }
}

fn id(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().expect("id runs");
    assert!(output.status.success(), "no such user: {arguments:?}");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("id prints a number")
}
