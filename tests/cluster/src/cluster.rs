//! The life cycle of a server: created, started, stopped, killed, restarted, replicated, removed.

use crate::installation::{give, program, programs, system_program};
use crate::watchdog::Watchdog;
use postgres::{Client, NoTls};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Timeout of all operations: far more than they take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The port that names the socket. Each cluster has a folder of its own, so the port need not be free.
const PORT: u16 = 5432;

/// The data directory, in the server's folder.
const DATA: &str = "data";

/// Postgres's three ways to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shutdown {
    /// Waits for the sessions to end.
    Smart,
    /// Ends the sessions, writes a checkpoint.
    Fast,
    /// Ends everything at once; the next start recovers.
    Immediate,
}

/// A server of its own, removed when dropped.
#[derive(Debug)]
pub struct Cluster {
    folder: TempDir,
    /// Variables that the server is started with.
    environment: Vec<(String, String)>,
    _watchdog: Option<Watchdog>,
}

impl Cluster {
    /// Starts a server with default settings, but without fsync; the extension is not yet created.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with these settings.
    pub fn start_with(settings: &[(&str, &str)]) -> Self {
        Self::start_in(&[], settings)
    }

    /// Starts a server with these settings and environment variables.
    pub fn start_in(environment: &[(String, String)], settings: &[(&str, &str)]) -> Self {
        let cluster = Cluster::empty(environment);
        run(program("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale", "C.UTF-8", "-D"])
            .arg(cluster.data()));
        let folder = cluster.socket_folder();
        cluster.configure(&[
            ("listen_addresses", ""),
            ("unix_socket_directories", folder.to_str().expect("a path in UTF-8")),
            ("port", &PORT.to_string()),
            ("fsync", "off"),
            ("wal_level", "logical"),
        ]);
        cluster.configure(settings);
        cluster.restart();
        cluster
    }

    /// A streaming standby of this server, caught up.
    pub fn standby(&self) -> Self {
        let standby = self.base_backup(&["-R"]);
        standby.restart();
        standby.catch_up_with(self);
        standby
    }

    /// A server made from a base backup of this one, and independent of it.
    pub fn copy(&self) -> Self {
        let copy = self.base_backup(&[]);
        copy.restart();
        copy
    }

    fn base_backup(&self, options: &[&str]) -> Self {
        let copy = Cluster::empty(&self.environment);
        run(program("pg_basebackup")
            .args(["--no-sync", "-X", "stream", "-c", "fast", "-U", "postgres", "-h"])
            .arg(self.socket_folder())
            .args(["-p", &PORT.to_string(), "-D"])
            .arg(copy.data())
            .args(options));
        let folder = copy.socket_folder();
        copy.configure(&[("unix_socket_directories", folder.to_str().expect("a path in UTF-8"))]);
        copy
    }

    fn empty(environment: &[(String, String)]) -> Self {
        // Directly under /tmp: a socket's path has at most about a hundred characters.
        let folder = tempfile::Builder::new().prefix("lumina-").tempdir_in("/tmp").expect("a temporary folder");
        give(folder.path());
        let watchdog = Watchdog::watch(folder.path().join(DATA));
        Cluster { folder, environment: environment.to_vec(), _watchdog: watchdog }
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join(DATA)
    }

    /// The folder of the socket: the `host` of a connection.
    pub fn socket_folder(&self) -> &Path {
        self.folder.path()
    }

    /// The port of a connection.
    pub fn port(&self) -> u16 {
        PORT
    }

    /// The server's log so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    /// Appends settings to postgresql.conf; they are in force after a restart or reload.
    pub fn configure(&self, settings: &[(&str, &str)]) {
        use std::io::Write;
        let path = self.data().join("postgresql.conf");
        let mut file = std::fs::OpenOptions::new().append(true).open(path).expect("postgresql.conf opens");
        for (name, value) in settings {
            writeln!(file, "{name} = '{}'", value.replace('\'', "''")).expect("postgresql.conf is written");
        }
    }

    /// Starts the server, stopping it first if it runs, and waits until it takes connections.
    pub fn restart(&self) {
        if self.running() {
            self.stop(Shutdown::Fast);
        }
        run(self.control("start").args(["-w", "-t", "120", "-l"]).arg(self.folder.path().join("log")));
    }

    /// Restarts the server as a process that takes in orphans below it, as the first process of a container does.
    pub fn restart_as_reaper(&self) {
        self.stop(Shutdown::Fast);
        let launcher = self.folder.path().join("launcher");
        // prctl(PR_SET_CHILD_SUBREAPER, 1), by the number of the call; what a process is stays with what it executes.
        let call = if cfg!(target_arch = "x86_64") { 157 } else { 167 };
        let server = programs().join("postgres");
        let script = format!(
            "#!/usr/bin/perl\nsyscall({call}, 36, 1, 0, 0, 0) == 0 or die $!;\nexec {{'{0}'}} '{0}', @ARGV;\n",
            server.display()
        );
        std::fs::write(&launcher, script).expect("the launcher is written");
        std::fs::set_permissions(&launcher, Permissions::from_mode(0o755)).expect("and can be run");
        let mut start = self.control("start");
        start.args(["-w", "-t", "120", "-l"]).arg(self.folder.path().join("log")).arg("-p").arg(launcher);
        run(&mut start);
    }

    /// Stops the server and waits until it is gone.
    pub fn stop(&self, how: Shutdown) {
        let mode = match how {
            Shutdown::Smart => "smart",
            Shutdown::Fast => "fast",
            Shutdown::Immediate => "immediate",
        };
        run(self.control("stop").args(["-w", "-t", "120", "-m", mode]));
    }

    /// Enables data checksums; the server is stopped for that. From Postgres 18 on a new server has them.
    pub fn enable_checksums(&self) {
        self.set_checksums("on", "--enable");
    }

    /// Disables data checksums, if they are enabled.
    pub fn disable_checksums(&self) {
        self.set_checksums("off", "--disable");
    }

    fn set_checksums(&self, wanted: &str, option: &str) {
        if self.sql("postgres", "SHOW data_checksums").trim() == wanted {
            return;
        }
        self.stop(Shutdown::Fast);
        run(program("pg_checksums").args([option, "--no-sync", "-D"]).arg(self.data()));
        self.restart();
    }

    /// Whether the server runs.
    pub fn running(&self) -> bool {
        self.postmaster().is_some_and(alive)
    }

    /// Makes a standby a primary.
    pub fn promote(&self) {
        run(self.control("promote").args(["-w", "-t", "120"]));
    }

    /// Kills the postmaster with SIGKILL, and waits until its children have noticed and exited.
    pub fn kill(&self) {
        let pid = self.postmaster().expect("the server runs");
        // Stopped first: so it starts no child that is not listed, which would go on beside the next server.
        run(Command::new("kill").args(["-STOP", &pid.to_string()]));
        let state = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        wait_until("the server is stopped", || state().rsplit(") ").next().is_some_and(|state| state.starts_with('T')));
        let children = children_of(pid);
        run(Command::new("kill").args(["-9", &pid.to_string()]));
        wait_until("the killed server is gone", || !alive(pid) && !children.iter().any(|&child| alive(child)));
    }

    /// The postmaster's process.
    pub fn postmaster(&self) -> Option<u32> {
        postmaster_of(&self.data())
    }

    /// Limits the address space of the postmaster, and with it of sessions that start later, to its current size plus
    /// `more` bytes: like `ulimit -v`.
    pub fn limit_address_space(&self, more: u64) {
        let pid = self.postmaster().expect("the server runs").to_string();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the status of a process");
        let size = status.lines().find_map(|line| line.strip_prefix("VmSize:")).expect("a size");
        let kilobytes: u64 = size.split_whitespace().next().and_then(|size| size.parse().ok()).expect("a number");
        run(system_program("prlimit").args(["--pid", &pid, &format!("--as={}:", (kilobytes << 10) + more)]));
    }

    /// A session of the superuser in the database `postgres`.
    pub fn connect(&self) -> Client {
        self.connect_to("postgres", "postgres")
    }

    /// A session in a database, as a role.
    pub fn connect_to(&self, database: &str, role: &str) -> Client {
        self.config(database, role).connect(NoTls).expect("a session starts")
    }

    /// Like [`Self::connect`], if the server can start a session.
    pub fn try_connect(&self) -> Option<Client> {
        self.config("postgres", "postgres").connect(NoTls).ok()
    }

    fn config(&self, database: &str, role: &str) -> postgres::Config {
        let mut config = postgres::Config::new();
        config.host_path(self.socket_folder()).port(PORT).dbname(database).user(role);
        config
    }

    /// Waits until this standby has replayed what the primary has written.
    pub fn catch_up_with(&self, primary: &Cluster) {
        let target: String =
            primary.connect().query_one("SELECT pg_current_wal_flush_lsn()::text", &[]).expect("LSN").get(0);
        let reached = format!("SELECT pg_last_wal_replay_lsn() >= '{target}'");
        wait_until("the standby has caught up", || {
            // Replay can cancel the statement, or end the session: then it has not caught up yet.
            let answer = self.try_connect().and_then(|mut session| session.query_one(&reached, &[]).ok());
            answer.is_some_and(|row| row.get::<_, Option<bool>>(0) == Some(true))
        });
    }

    fn control(&self, action: &str) -> Command {
        let mut command = program("pg_ctl");
        command.arg(action).arg("-s").arg("-D").arg(self.data());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.env("RUST_BACKTRACE", "1"); // as in the shells of developers: no error may show anything of it
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if self.running() {
            let stopped = self.control("stop").args(["-w", "-m", "immediate"]).output();
            if !stopped.is_ok_and(|output| output.status.success()) {
                eprintln!("the server in {} could not be stopped", self.data().display());
            }
        }
        if std::thread::panicking() {
            let log = self.log();
            let last: Vec<&str> = log.lines().rev().take(40).collect();
            eprintln!("the server's last words:\n{}", last.into_iter().rev().collect::<Vec<_>>().join("\n"));
        }
    }
}

/// Waits until a condition holds; panics with its name after a timeout.
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    wait_until_within(PATIENCE, what, condition);
}

/// [`wait_until`] with another timeout.
pub fn wait_until_within(patience: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < patience, "still waiting after {patience:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Runs a command to its end; panics with its output unless it succeeds.
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?} failed:\n{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Whether a process exists; a zombie counts, as it does for Postgres's lock file.
fn alive(pid: u32) -> bool {
    Path::new(&format!("/proc/{pid}")).exists()
}

/// The process whose data directory this is.
pub(crate) fn postmaster_of(data: &Path) -> Option<u32> {
    let file = std::fs::read_to_string(data.join("postmaster.pid")).ok()?;
    file.lines().next()?.trim().parse().ok()
}

pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let listed = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
