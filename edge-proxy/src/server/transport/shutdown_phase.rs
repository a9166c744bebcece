//! The phase of the listener on the way to its end, which every connection follows.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::connection_policy::ListenerPhase;

/// Announces the phase to all connections, and notices the end of the last one. Clones share the phase.
#[derive(Debug, Clone)]
pub(crate) struct ShutdownPhase(Arc<PhaseState>);

#[derive(Debug)]
struct PhaseState {
    phase: watch::Sender<ListenerPhase>,
    /// Whether the phase is past `Serving`, once more: every answer reads it, and a watched value is
    /// behind a lock.
    leaving: AtomicBool,
}

impl ShutdownPhase {
    /// Returns the first phase, in which connections are served.
    pub(super) fn new() -> Self {
        Self(Arc::new(PhaseState {
            phase: watch::Sender::new(ListenerPhase::Serving),
            leaving: AtomicBool::new(false),
        }))
    }

    /// Sends clients elsewhere: from now on every answer of HTTP/1.1 closes its connection, and HTTP/2
    /// connections accept no further request.
    pub(crate) fn leave(&self) {
        self.0.leaving.store(true, Relaxed);
        self.enter(ListenerPhase::Leaving);
    }

    /// Returns whether connections are to end.
    pub(super) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Relaxed)
    }

    /// Returns a receiver of the phase. A connection counts as open until its receiver is dropped.
    pub(super) fn follow(&self) -> watch::Receiver<ListenerPhase> {
        self.0.phase.subscribe()
    }

    /// Ends the connections, and cuts off those that are still open after `grace`. Returns the number of
    /// connections that were cut off.
    pub(super) async fn end(&self, grace: Duration) -> usize {
        self.0.leaving.store(true, Relaxed);
        self.enter(ListenerPhase::Closing);
        if tokio::time::timeout(grace, self.0.phase.closed()).await.is_ok() {
            return 0;
        }
        let left = self.0.phase.receiver_count();
        self.enter(ListenerPhase::Ended);
        self.0.phase.closed().await;
        left
    }

    fn enter(&self, phase: ListenerPhase) {
        self.0.phase.send_if_modified(|now| {
            let later = *now < phase;
            *now = phase.max(*now);
            later
        });
    }
}
