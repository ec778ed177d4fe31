//! Threads that work on files, while their caller stays responsive: it hands out tasks, and receives events.
//!
//! Threads end when the pool is dropped, which waits for them: they check every few milliseconds.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

/// What the threads of a pool do: tasks, one after the other.
pub trait Processor: Clone + Send + 'static {
    /// The input.
    type Task: Send + 'static;
    /// The output.
    type Event: Send + 'static;

    /// Processes a task. `None` if it was cancelled.
    fn process(&self, task: &Self::Task, context: &TaskContext<Self::Event>) -> Option<Self::Event>;

    /// The event for a task that failed unexpectedly.
    fn failed(task: &Self::Task) -> Self::Event;

    /// Whether the system has this much memory available.
    fn room_for(&self, bytes: usize) -> bool;

    /// Where the program is that decodes formats which are not decoded in this process, if anywhere.
    fn decoder(&self) -> Option<&Path> {
        None
    }
}

/// What a thread has of the pool's caller while it processes a task: a channel for events, and the cancellation.
#[derive(Debug)]
pub struct TaskContext<E> {
    events: Sender<E>,
    cancelled: Arc<AtomicBool>,
}

impl<E> TaskContext<E> {
    /// Whether the work is cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Sends an event in the middle of a task. `None` if nobody receives any more.
    pub fn send(&self, event: E) -> Option<()> {
        self.events.send(event).ok()
    }
}

/// The caller of a decoder: the thread that processes a task.
pub(crate) struct DecoderCaller<'a, P: Processor>(pub(crate) &'a P, pub(crate) &'a TaskContext<P::Event>);

impl<P: Processor> lumina_photo::Caller for DecoderCaller<'_, P> {
    fn is_cancelled(&self) -> bool {
        self.1.is_cancelled()
    }

    fn room_for(&self, bytes: usize) -> bool {
        self.0.room_for(bytes)
    }

    fn decoder(&self) -> Option<&Path> {
        self.0.decoder()
    }

    /// Checks memory first: a thread that the C library cannot set up ends the process.
    fn spawn(&self, work: Box<dyn FnOnce() + Send>) -> io::Result<()> {
        if !self.0.room_for(DECODER_STACK + DECODER_SETUP) {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let kept = self.0.clone(); // what it has of the memory, as long as the decoder runs
        let work = move || {
            work();
            drop(kept);
        };
        Builder::new().name("lumina decoder".into()).stack_size(DECODER_STACK).spawn(work).map(drop)
    }
}

/// Stack of a decoder's own thread, in bytes.
const DECODER_STACK: usize = 2 << 20;
/// More than the C library takes for a thread in addition to its stack.
const DECODER_SETUP: usize = 1 << 19;

/// A pool of threads.
pub struct Pool<P: Processor> {
    tasks: Option<Sender<P::Task>>,
    events: Receiver<P::Event>,
    cancelled: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// All threads have ended before the pool was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("all threads are gone")]
pub struct Broken;

impl<P: Processor> Pool<P> {
    /// Starts `count` threads by `start`, which blocks signals in them if its process handles any. Errors: its own.
    pub fn start(
        count: usize,
        processor: &P,
        start: impl Fn(Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>>,
    ) -> io::Result<Self> {
        let (tasks, queue) = channel();
        let (sender, events) = channel();
        let queue = Arc::new(Mutex::new(queue));
        let mut pool = Pool { tasks: Some(tasks), events, cancelled: Arc::default(), threads: Vec::new() };
        for _ in 0..count {
            let (processor, queue) = (processor.clone(), Arc::clone(&queue));
            let context = TaskContext { events: sender.clone(), cancelled: Arc::clone(&pool.cancelled) };
            pool.threads.push(start(Box::new(move || run(&processor, &queue, &context)))?);
        }
        Ok(pool)
    }

    /// Queues a task for a thread. Queued tasks are held in memory.
    pub fn submit(&self, task: P::Task) {
        if let Some(tasks) = &self.tasks {
            let _ = tasks.send(task); // where no thread is left, none answers either
        }
    }

    /// The next event, within a timeout. Errors: no thread is left.
    pub fn event(&self, within: Duration) -> Result<Option<P::Event>, Broken> {
        match self.events.recv_timeout(within) {
            Ok(event) => Ok(Some(event)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(Broken),
        }
    }
}

impl<P: Processor> Drop for Pool<P> {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.tasks = None;
        // An event that was not received may hold a channel that a thread waits on.
        self.events = channel().1;
        for thread in self.threads.drain(..) {
            let _ = thread.join(); // a panic in it was caught there
        }
    }
}

/// The loop of a thread.
fn run<P: Processor>(processor: &P, tasks: &Mutex<Receiver<P::Task>>, context: &TaskContext<P::Event>) {
    loop {
        let next = tasks.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(task) = next else { return };
        if context.is_cancelled() {
            return;
        }
        // Decoders have their own guard; this one is for unexpected panics.
        let event = catch_unwind(AssertUnwindSafe(|| processor.process(&task, context)))
            .unwrap_or_else(|_| Some(P::failed(&task)));
        if event.is_some_and(|event| context.send(event).is_none()) {
            return;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::{Builder, DecoderCaller, Pool, Processor, TaskContext};
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

    impl Processor for Leaves {
        type Task = ();
        type Event = ();

        fn process(&self, (): &(), context: &TaskContext<()>) -> Option<()> {
            let until = self.until.lock().unwrap().take().unwrap();
            DecoderCaller(self, context).spawn(Box::new(move || _ = until.recv())).unwrap();
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
        pool.submit(());
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
