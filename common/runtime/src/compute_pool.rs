//! Work that occupies a processor for longer than about a millisecond, kept away from the threads that serve
//! requests: a request that needs no such work must not wait for one that does.

use std::{sync::Arc, thread};

use tokio::sync::Semaphore;
use tracing::Span;

use crate::tasks::TaskGroup;

/// The largest input that is worked on at once, bytes. Reading or rewriting so much XML takes some tenths of a
/// millisecond, and moving the work to another thread is not free either.
pub const INLINE_MAX: usize = 64 << 10;

/// The work has panicked, or the program stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work did not end")]
pub struct ComputeFailure;

/// A few threads for such work; clones share them.
#[derive(Debug, Clone)]
pub struct ComputePool {
    tasks: TaskGroup,
    threads: usize,
    slots: Arc<Semaphore>,
}

impl ComputePool {
    /// Returns a pool that occupies at most half of the processors, and at least one thread. `tasks` owns the work.
    pub fn new(tasks: TaskGroup) -> Self {
        let processors = thread::available_parallelism().map_or(1, usize::from);
        let threads = (processors / 2).max(1);
        Self { tasks, threads, slots: Arc::new(Semaphore::new(threads)) }
    }

    /// Returns the largest number of works that run at a time.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Does `work` on an input of `size` bytes: at once if it is small, else on a thread of the pool as soon as
    /// one is free, in the order of the calls. Once it has begun it goes on, also if the caller is dropped.
    ///
    /// # Errors
    /// The work panicked on its thread.
    pub async fn run<T>(
        &self,
        size: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ComputeFailure>
    where
        T: Send + 'static,
    {
        if size <= INLINE_MAX {
            return Ok(work());
        }
        let slot = Arc::clone(&self.slots).acquire_owned().await.map_err(|_| ComputeFailure)?;
        let span = Span::current();
        let working = self.tasks.spawn_blocking(move || {
            let _slot = slot;
            span.in_scope(work)
        });
        working.await.map_err(|_| ComputeFailure)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
    };

    use super::*;

    #[tokio::test]
    async fn small_work_is_done_at_once_and_large_work_on_another_thread() {
        let pool = ComputePool::new(TaskGroup::new());
        let here = thread::current().id();
        assert_eq!(pool.run(INLINE_MAX, || thread::current().id()).await, Ok(here));
        assert_ne!(pool.run(INLINE_MAX + 1, || thread::current().id()).await, Ok(here));
        assert_eq!(pool.run(usize::MAX, || panic!("on purpose")).await, Err::<(), _>(ComputeFailure));
    }

    #[tokio::test]
    async fn as_many_works_run_at_once_as_there_are_slots_and_no_more() {
        let pool = ComputePool { tasks: TaskGroup::new(), threads: 2, slots: Arc::new(Semaphore::new(2)) };
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let pair = Arc::new(Barrier::new(2));
        let works: Vec<_> = (0..6)
            .map(|_| {
                let (running, most, pair) = (Arc::clone(&running), Arc::clone(&most), Arc::clone(&pair));
                let pool = pool.clone();
                tokio::spawn(async move {
                    let work = move || {
                        most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                        pair.wait();
                        running.fetch_sub(1, Ordering::SeqCst);
                    };
                    pool.run(usize::MAX, work).await
                })
            })
            .collect();
        for work in works {
            assert_eq!(work.await.unwrap(), Ok(()));
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }
}
