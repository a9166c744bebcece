//! The connections that have not sent a byte. At the limit of connections, the one that has been silent
//! longest gives way to a new one: otherwise a crowd that connects and says no word would keep everybody
//! else out until its time is over. A connection that has sent a request never gives way (F13).

use std::{
    sync::atomic::{AtomicUsize, Ordering::Relaxed},
    time::Duration,
};

use prometheus_client::metrics::counter::Counter;
use tokio::sync::Notify;

/// Shortest silence after which a connection gives way. A client that has just connected is about to
/// send its request.
pub(super) const GIVES_WAY_AFTER: Duration = Duration::from_secs(1);

/// The connections that may give way.
#[derive(Debug)]
pub(super) struct SilentConnections {
    count: AtomicUsize,
    /// Wakes the connection that waits longest.
    request: Notify,
    given_way: Counter,
}

impl SilentConnections {
    /// Returns no connections; `given_way` counts those that give way.
    pub(super) fn new(given_way: Counter) -> Self {
        Self { count: AtomicUsize::new(0), request: Notify::new(), given_way }
    }

    /// Requests that the longest silent connection gives way; returns whether there is any connection
    /// that may.
    pub(super) fn request_one(&self) -> bool {
        let any = self.count.load(Relaxed) > 0;
        if any {
            self.request.notify_one();
        }
        any
    }

    /// Counts a connection as silent until the result is dropped.
    pub(super) fn enter(&self) -> SilentConnection<'_> {
        self.count.fetch_add(1, Relaxed);
        SilentConnection(self)
    }
}

/// A connection that is silent.
#[derive(Debug)]
pub(super) struct SilentConnection<'a>(&'a SilentConnections);

impl SilentConnection<'_> {
    /// Waits until this connection is requested to give way.
    pub(super) async fn requested(&self) {
        self.0.request.notified().await;
    }

    /// Counts that this connection gives way.
    pub(super) fn gives_way(&self) {
        self.0.given_way.inc();
    }
}

impl Drop for SilentConnection<'_> {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Relaxed);
    }
}
