//! Every task has a name, an owner and an end.

use std::future::Future;

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{Instrument, error, info_span};

/// Owns the long-lived tasks of one program. When one of them ends, by return, error or panic, all
/// are asked to stop: a process with a part missing must not look alive.
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

    /// Starts a long-lived task; `run` gets the token by which it is asked to stop.
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

    /// Starts a task of bounded length, a request's or a poll's; its end stops nothing else.
    pub fn spawn_short<F>(&self, name: &'static str, work: F) -> tokio::task::JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.tracker.spawn(work.instrument(info_span!("task", name)))
    }

    /// Starts the task of one client's connection: as [`TaskGroup::spawn_short`], without a span, which
    /// the hot path would pay for at every wake-up.
    pub fn spawn_connection(&self, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(work);
    }

    /// Returns the token that is cancelled when the tasks are asked to stop.
    pub fn stopping(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// Asks every task to stop.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Asks every task to stop and waits until they have.
    pub async fn shutdown(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}
