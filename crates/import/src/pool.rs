//! Threads that work on files, while their caller stays responsive: it hands out tasks, and receives events.
//!
//! Threads end when the pool is dropped, which waits for them: they check every few milliseconds.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// The work of a thread.
pub trait Work: Clone + Send + 'static {
    /// The input.
    type Task: Send + 'static;
    /// The output.
    type Event: Send + 'static;

    /// Does a task. `None` if it was cancelled.
    fn work(&self, task: &Self::Task, caller: &Caller<Self::Event>) -> Option<Self::Event>;

    /// The event for a task that failed unexpectedly.
    fn failed(task: &Self::Task) -> Self::Event;

    /// Whether the system has this much memory available.
    fn room_for(&self, bytes: usize) -> bool;
}

/// The threads' view of their caller.
#[derive(Debug)]
pub struct Caller<E> {
    events: Sender<E>,
    stop: Arc<AtomicBool>,
}

impl<E> Caller<E> {
    /// Whether the work is cancelled.
    pub fn stop(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Sends an event in the middle of a task. `None` if nobody receives any more.
    pub fn say(&self, event: E) -> Option<()> {
        self.events.send(event).ok()
    }
}

/// The caller and the work, as a decoder needs them.
pub(crate) struct Waiting<'a, W: Work>(pub(crate) &'a W, pub(crate) &'a Caller<W::Event>);

impl<W: Work> lumina_photo::Caller for Waiting<'_, W> {
    fn is_cancelled(&self) -> bool {
        self.1.stop()
    }

    fn room_for(&self, bytes: usize) -> bool {
        self.0.room_for(bytes)
    }

    /// Checks memory first: a thread that the C library cannot set up ends the process.
    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if !self.0.room_for(ASIDE_STACK + ASIDE_SETUP) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let kept = self.0.clone(); // what it has of the memory, as long as the decoder runs
        let work = move || {
            work();
            drop(kept);
        };
        Builder::new().name("lumina decoder".into()).stack_size(ASIDE_STACK).spawn(work).map(drop)
    }
}

/// Stack of a decoder that runs beside its thread, in bytes.
const ASIDE_STACK: usize = 2 << 20;
/// More than the C library takes for a thread in addition to its stack.
const ASIDE_SETUP: usize = 1 << 19;

/// A pool of threads.
pub struct Pool<W: Work> {
    tasks: Option<Sender<W::Task>>,
    events: Receiver<W::Event>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// All threads have ended without being told to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all threads are gone")]
pub struct Broken;

impl<W: Work> Pool<W> {
    /// Starts `count` threads by `start`, which blocks signals in them if its process handles any. Errors: its own.
    pub fn start(
        count: usize,
        work: &W,
        start: impl Fn(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<Self> {
        let (tasks, queue) = channel();
        let (said, events) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut pool = Pool { tasks: Some(tasks), events, stop: Arc::default(), threads: Vec::new() };
        for _ in 0..count {
            let (work, queue) = (work.clone(), Arc::clone(&queue));
            let caller = Caller { events: said.clone(), stop: Arc::clone(&pool.stop) };
            pool.threads.push(start(Box::new(move || run(&work, &queue, &caller)))?);
        }
        Ok(pool)
    }

    /// Queues a task for a thread. Queued tasks are held in memory.
    pub fn give(&self, task: W::Task) {
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task); // where no thread is left, none answers either
        }
    }

    /// The next event, within a timeout. Errors: no thread is left.
    pub fn event(&self, within: Duration) -> Result<Option<W::Event>, Broken> {
        match self.events.recv_timeout(within) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Broken),
        }
    }
}

impl<W: Work> Drop for Pool<W> {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        self.tasks = None;
        // An event that was not received may hold a channel that a thread waits on.
        self.events = channel().1;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic in it was caught there
        }
    }
}

/// The loop of a thread.
fn run<W: Work>(work: &W, tasks: &Mutex<Receiver<W::Task>>, caller: &Caller<W::Event>) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        if caller.stop() {
            return;
        }
        // Decoders have their own guard; this one is for unexpected panics.
        let event =
            catch_unwind(AssertUnwindSafe(|| work.work(&task, caller))).unwrap_or_else(|_| Some(W::failed(&task)));
        if event.is_some_and(|event| caller.say(event).is_none()) {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::{Builder, Caller, Pool, Waiting, Work};
    use lumina_photo::Caller as _;
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::sync::{Arc, Mutex};
    use std::time::{Duration, Instant};

    /// Starts a decoder that ends when told to, and does not wait for it.
    #[derive(Clone)]
    struct Leaves {
        _memory: Arc<()>,
        until: Arc<Mutex<Option<Receiver<()>>>>,
    }

    impl Work for Leaves {
        type Task = ();
        type Event = ();

        fn work(&self, (): &(), caller: &Caller<()>) -> Option<()> {
            let until = self.until.lock().unwrap().take().unwrap();
            Waiting(self, caller).spawn(Box::new(move || _ = until.recv())).unwrap();
            Some(())
        }

        fn failed((): &()) {
            unreachable!()
        }

        fn room_for(&self, _: usize) -> bool {
            true
        }
    }

    /// The memory of a decoder is reserved until it ends, which may be after everything else.
    #[test]
    fn a_decoder_that_is_left_keeps_its_memory() {
        let (end, until): (Sender<()>, _) = channel();
        let memory = Arc::new(());
        let work = Leaves { _memory: Arc::clone(&memory), until: Arc::new(Mutex::new(Some(until))) };
        let pool = Pool::start(2, &work, |work| Builder::new().spawn(work)).unwrap();
        drop(work);
        pool.give(());
        assert_eq!(pool.event(Duration::from_secs(60)), Ok(Some(())));
        drop(pool);
        assert_eq!(Arc::strong_count(&memory), 2);
        drop(end);
        let began = Instant::now();
        while Arc::strong_count(&memory) > 1 {
            assert!(began.elapsed() < Duration::from_secs(60), "the decoder never ended");
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
