//! How far the listener is on its way to its end, told to every connection.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::sync::watch;

use super::connection_policy::Phase;

/// Tells connections the phase, and knows when the last of them is gone; clones are the same.
#[derive(Debug, Clone)]
pub struct Life(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    phase: watch::Sender<Phase>,
    /// What every answer asks for, apart: a watched value is behind a lock.
    leaving: AtomicBool,
}

impl Life {
    pub(super) fn new() -> Self {
        Self(Arc::new(Shared { phase: watch::Sender::new(Phase::Serving), leaving: AtomicBool::new(false) }))
    }

    /// Lets clients go elsewhere: every answer of HTTP/1.1 from now on closes its connection, and
    /// HTTP/2 connections take no further request.
    pub fn leave(&self) {
        self.0.leaving.store(true, Relaxed);
        self.enter(Phase::Leaving);
    }

    pub(in crate::server) fn is_leaving(&self) -> bool {
        self.0.leaving.load(Relaxed)
    }

    /// Follows the phase; a connection is open as long as what is returned lives.
    pub(super) fn follow(&self) -> watch::Receiver<Phase> {
        self.0.phase.subscribe()
    }

    /// Ends the connections, at last those that do not end by themselves within `grace`. Returns how
    /// many had to be cut off.
    pub(super) async fn end(&self, grace: Duration) -> usize {
        self.0.leaving.store(true, Relaxed);
        self.enter(Phase::Closing);
        if tokio::time::timeout(grace, self.0.phase.closed()).await.is_ok() {
            return 0;
        }
        let left = self.0.phase.receiver_count();
        self.enter(Phase::Over);
        self.0.phase.closed().await;
        left
    }

    fn enter(&self, phase: Phase) {
        self.0.phase.send_if_modified(|now| {
            let later = *now < phase;
            *now = phase.max(*now);
            later
        });
    }
}
