//! Sessions that wait, and statements that run beside others.

use postgres::{Client, Error};
use std::thread::JoinHandle;
use std::time::Instant;

/// Whether a session waits for an event of this name.
pub fn waits(admin: &mut Client, pid: i32, event: &str) -> bool {
    let waiting = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pid = $1 AND wait_event = $2)";
    admin.query_one(waiting, &[&pid, &event]).unwrap().get(0)
}

/// Runs a statement in a session on its own thread, which returns both and the time of the end.
pub fn start(mut session: Client, statement: String) -> JoinHandle<(Client, Result<(), Error>, Instant)> {
    std::thread::spawn(move || {
        let result = session.batch_execute(&statement);
        let ended = Instant::now();
        // The error is sent before the transaction is rolled back, and with it its locks and files.
        drop(session.batch_execute(""));
        (session, result, ended)
    })
}
