//! Which file the threads get next, and how much memory it may use.
//!
//! Every thread has its share. A file that needs more waits until several such files have gathered, or no other is
//! left; each of them then runs alone with all of the memory.

use crate::visit::FileTask;
use std::collections::VecDeque;

/// How many files may wait to run alone before they do.
const MOST_ALONE: usize = 16;

/// Tasks handed out per thread: one that it works on, and one in advance.
const AHEAD: usize = 2;

/// The files to visit.
#[derive(Debug)]
pub struct Queue {
    next: VecDeque<FileTask>,
    alone: VecDeque<FileTask>,
    /// Whether the files that run alone are being handed out.
    is_draining: bool,
    /// Whether the current file runs alone.
    runs_alone: bool,
    given: usize,
    threads: usize,
    memory: u64,
    is_complete: bool,
}

/// It needs more than all of the memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge;

impl Queue {
    /// A queue for this many threads with this much memory together, in bytes.
    pub fn new(threads: usize, memory: u64) -> Self {
        let threads = threads.max(1);
        let (next, alone) = (VecDeque::new(), VecDeque::new());
        Queue { next, alone, is_draining: false, runs_alone: false, given: 0, threads, memory, is_complete: false }
    }

    /// The memory of a task that runs beside others, in bytes.
    pub fn share(&self) -> u64 {
        self.memory / self.threads as u64
    }

    /// Whether it wants more tasks.
    pub fn is_hungry(&self) -> bool {
        self.next.is_empty() && !self.is_complete
    }

    /// Adds tasks; none means that there are no more.
    pub fn put(&mut self, tasks: Vec<FileTask>) {
        self.is_complete |= tasks.is_empty();
        self.next.extend(tasks);
    }

    /// The next task to hand out; `None` if none may run now.
    pub fn take(&mut self) -> Option<FileTask> {
        let last = self.next.is_empty() && self.is_complete;
        self.is_draining = !self.alone.is_empty() && (self.is_draining || last || self.alone.len() >= MOST_ALONE);
        let task = if self.runs_alone || (self.is_draining && self.given > 0) {
            None
        } else if self.is_draining {
            self.runs_alone = true;
            self.alone.pop_front().map(|task| FileTask { memory: self.memory, ..task })
        } else if self.given < AHEAD * self.threads {
            self.next.pop_front().map(|task| FileTask { memory: self.share(), ..task })
        } else {
            None
        };
        self.given += usize::from(task.is_some());
        task
    }

    /// A task is finished.
    pub fn done(&mut self) {
        self.given = self.given.saturating_sub(1);
        self.runs_alone &= self.given > 0;
    }

    /// A task needs more memory: hands it out again later, with `needed` bytes. Errors: there is less.
    pub fn put_back(&mut self, task: FileTask, needed: u64) -> Result<(), TooLarge> {
        self.done();
        if needed > self.memory || task.memory >= self.memory {
            return Err(TooLarge);
        }
        self.alone.push_back(task);
        Ok(())
    }

    /// Hands out a finished task again, before others.
    pub fn put_first(&mut self, task: FileTask) {
        self.next.push_front(task);
    }

    /// Whether all tasks are handed out and finished.
    pub fn is_empty(&self) -> bool {
        self.given == 0 && self.next.is_empty() && self.alone.is_empty() && self.is_complete
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may fail")]
mod tests {
    use super::*;

    fn task(item: i64) -> FileTask {
        FileTask { item, path: "/x".into(), known: None, memory: 0 }
    }

    #[test]
    fn large_files_run_alone_with_all_memory() {
        let mut queue = Queue::new(2, 1000);
        queue.put((0..6).map(task).collect());
        let given: Vec<FileTask> = std::iter::from_fn(|| queue.take()).collect();
        assert_eq!(
            given.iter().map(|task| (task.item, task.memory)).collect::<Vec<_>>(),
            [(0, 500), (1, 500), (2, 500), (3, 500)]
        );
        assert_eq!(queue.put_back(given[0].clone(), 700), Ok(()));
        assert_eq!(queue.put_back(given[1].clone(), 1001), Err(TooLarge));
        // It waits: other tasks are available, and more may come.
        assert_eq!(queue.take().map(|task| task.item), Some(4));
        assert_eq!(queue.take().map(|task| task.item), Some(5));
        assert!(queue.take().is_none() && queue.is_hungry());
        queue.put(Vec::new());
        (0..3).for_each(|_| queue.done());
        assert!(queue.take().is_none(), "one is still at work");
        queue.done();
        let large = queue.take().unwrap();
        assert_eq!((large.item, large.memory), (0, 1000));
        assert!(queue.take().is_none() && !queue.is_empty());
        assert_eq!(queue.put_back(large, 900), Err(TooLarge), "it has had everything");
        assert!(queue.is_empty());
    }

    #[test]
    fn none_runs_beside_one_that_is_alone() {
        let mut queue = Queue::new(1, 100);
        let mut queue2 = Queue::new(4, 100);
        queue.put(vec![task(1)]);
        let one = queue.take().unwrap();
        assert_eq!(queue.put_back(one, 90), Err(TooLarge), "a single thread has everything from the start");
        queue2.put((0..40).map(task).collect());
        let mut alone = 0;
        let mut at_work: VecDeque<FileTask> = VecDeque::new();
        for _ in 0..200 {
            while let Some(task) = queue2.take() {
                assert!(task.memory == 25 || at_work.is_empty());
                at_work.push_back(task);
            }
            let Some(task) = at_work.pop_front() else { break };
            if task.memory == 100 {
                assert!(at_work.is_empty());
                alone += 1;
                queue2.done();
            } else if task.item % 2 == 0 {
                queue2.put_back(task, 60).unwrap();
            } else {
                queue2.done();
            }
            if queue2.is_hungry() {
                queue2.put(Vec::new());
            }
        }
        assert_eq!(alone, 20);
        assert!(queue2.is_empty());
    }
}
