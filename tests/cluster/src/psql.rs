//! Runs psql like a user, and returns its output; dumps and restores.

use crate::cluster::{Cluster, run};
use crate::installation::program;
use std::io::Write;
use std::process::Stdio;

/// The output of a psql run.
#[derive(Debug)]
pub struct Output {
    /// Standard output and standard error, in the order in which they were written.
    pub text: String,
    /// Whether psql exited with 0.
    pub success: bool,
}

impl Cluster {
    /// Runs a script in psql, as the superuser, continuing after errors, and returns everything that a user would see:
    /// the statements echoed, the results, the errors with SQLSTATE, detail and hint.
    pub fn transcript(&self, database: &str, script: &str) -> String {
        let output = self.psql(database, &["-a", "-q", "-v", "VERBOSITY=verbose"], script);
        // The source positions of errors are not stable.
        output.text.lines().filter(|line| !line.starts_with("LOCATION:")).flat_map(|line| [line, "\n"]).collect()
    }

    /// Runs statements in psql, as the superuser, stopping at the first error; panics if there is one.
    pub fn sql(&self, database: &str, script: &str) -> String {
        let output = self.psql(database, &["-A", "-t", "-q", "-v", "ON_ERROR_STOP=1"], script);
        assert!(output.success, "psql failed:\n{}", output.text);
        output.text
    }

    /// Runs psql with options and a script.
    pub fn psql(&self, database: &str, options: &[&str], script: &str) -> Output {
        // Both streams into one pipe, so that errors appear where they occurred.
        let (mut reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = program("psql");
        command.args(["-X", "-U", "postgres", "-h"]).arg(self.socket_folder());
        command.args(["-p", &self.port().to_string(), "-d", database]).args(options);
        command.stdin(Stdio::piped()).stdout(writer.try_clone().expect("a pipe")).stderr(writer);
        let mut child = command.spawn().expect("psql starts");
        drop(command); // and with it our ends of the pipe
        let mut stdin = child.stdin.take().expect("a pipe");
        let script = script.to_owned();
        let typing = std::thread::spawn(move || stdin.write_all(script.as_bytes()));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut reader, &mut text).expect("psql writes UTF-8");
        // After an error psql does not read the rest of the script: a broken pipe is no failure.
        drop(typing.join());
        Output { text, success: child.wait().expect("psql ends").success() }
    }

    /// A dump of a database, in pg_dump's plain form.
    pub fn dump(&self, database: &str, options: &[&str]) -> String {
        let mut command = program("pg_dump");
        command.args(["-U", "postgres", "-h"]).arg(self.socket_folder()).args(["-p", &self.port().to_string()]);
        run(command.args(options).arg(database))
    }

    /// Runs one of Postgres's client programs against this server; panics unless it succeeds.
    pub fn client(&self, name: &str, arguments: &[&str]) -> String {
        self.client_with(name, arguments, &[])
    }

    /// [`Self::client`] with environment variables.
    pub fn client_with(&self, name: &str, arguments: &[&str], environment: &[(&str, &str)]) -> String {
        let mut command = program(name);
        command.args(["-U", "postgres", "-h"]).arg(self.socket_folder()).args(["-p", &self.port().to_string()]);
        run(command.args(arguments).envs(environment.iter().copied()))
    }
}
