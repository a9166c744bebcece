//! Owns the tasks of a program: every task has a name, an owner and an end (style P15).

use std::future::Future;

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info_span};

/// The owner of the long-lived tasks of one program. When one of them ends, by return, error or panic, all are
/// stopped, because a process that lacks a part must not appear alive.
#[derive(Debug, Clone, Default)]
pub struct TaskGroup {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl TaskGroup {
    /// Returns an owner without tasks.
    pub fn new() -> Self {
        Self::default()
    }

    /// Starts a long-lived task. `run` gets the token that is cancelled when the task must stop.
    pub fn spawn<F>(&self, name: &'static str, run: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = anyhow::Result<()>> + Send + 'static,
    {
        let work = run(self.stop.child_token());
        let fail_stop = self.stop.clone().drop_guard();
        self.tracker.spawn(
            async move {
                let _fail_stop = fail_stop; // dropped on return, error and panic alike
                if let Err(error) = work.await {
                    error!(error = format!("{error:#}"), "task failed");
                }
            }
            .instrument(info_span!("task", name)),
        );
    }

    /// Starts a task of bounded length, such as a request or a poll. Its end stops no other task.
    pub fn spawn_short<F>(&self, name: &'static str, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(work.instrument(info_span!("task", name)))
    }

    /// Starts the task of one connection of a client. It has no span, unlike [`TaskGroup::spawn_short`], because a
    /// span costs time at every wake-up of the hot path.
    pub fn spawn_connection(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Starts work of bounded length that occupies a processor, on a thread that serves no request. The caller
    /// bounds the number of such works.
    pub fn spawn_blocking<T>(&self, work: impl FnOnce() -> T + Send + 'static) -> tokio::task::JoinHandle<T>
    where
        T: Send + 'static,
    {
        self.tracker.spawn_blocking(work)
    }

    /// Returns the token that is cancelled when all tasks must stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Cancels the token of every task.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Cancels the token of every task and waits until all have ended.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
