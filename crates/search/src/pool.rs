//! Runs work on a pool of threads, while the calling thread takes its results and stays responsive.
//!
//! The calling thread never sleeps for longer than [`LONGEST_SLEEP`]: between batches it runs a closure that may check
//! for interrupts. If one of its closures unwinds, the search is cancelled and its threads are joined, so that nothing
//! that they borrow is dropped before they end.

use crate::batch::{PairBatch, PairSink};
use crate::context::SearchContext;
use crate::error::SearchError;
use rayon::ThreadPool;
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

/// The longest sleep of the calling thread.
pub const LONGEST_SLEEP: Duration = Duration::from_millis(20);

enum Message<R> {
    Batch(PairBatch),
    Done(Result<R, SearchError>),
}

/// Runs `work` on `pool`; on this thread `take` for each batch, and `check_cancelled` at least every [`LONGEST_SLEEP`].
pub fn run_on_pool<R: Send>(
    pool: &ThreadPool,
    context: &SearchContext,
    work: impl FnOnce(&PairSink<'_>) -> Result<R, SearchError> + Send,
    mut take: impl FnMut(PairBatch) -> Result<(), SearchError>,
    mut check_cancelled: impl FnMut(),
) -> Result<R, SearchError> {
    // A batch being filled for each thread, and one in transit.
    let (sender, receiver) = sync_channel(pool.current_num_threads());
    pool.in_place_scope(move |scope| {
        // However this closure ends, the search is cancelled first, unless it is done, and then the receiver is
        // dropped: no thread waits to send, and all soon end.
        let receiver = receiver;
        let mut unfinished = CancelWhenDropped { context, armed: true };
        scope.spawn(move |_| {
            let send = |message| sender.send(message).map_err(|_| SearchError::Cancelled);
            let result = work(&|batch| send(Message::Batch(batch)));
            // Sending fails only if the caller has cancelled.
            let _ = sender.send(Message::Done(result));
        });
        loop {
            match receiver.recv_timeout(LONGEST_SLEEP) {
                Ok(Message::Batch(batch)) => take(batch)?,
                Ok(Message::Done(result)) => {
                    unfinished.armed = false;
                    return result;
                }
                Err(RecvTimeoutError::Timeout) => {}
                // The work has panicked: the scope propagates that panic when it ends.
                Err(RecvTimeoutError::Disconnected) => return Err(SearchError::Cancelled),
            }
            check_cancelled();
        }
    })
}

struct CancelWhenDropped<'a> {
    context: &'a SearchContext,
    armed: bool,
}

impl Drop for CancelWhenDropped<'_> {
    fn drop(&mut self) {
        if self.armed {
            self.context.cancel();
        }
    }
}
