//! Sends callbacks and keeps the results of the latest attempts.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use usher_bbb::secret::Secret;
use usher_runtime::tasks::TaskGroup;

use super::{PendingCallback, SimCallback, of_change};
use crate::{lock::lock, memory::TimedChange};

/// Longest wait for one answer. BBB waits longer; a test must not.
const PATIENCE: Duration = Duration::from_mins(1);
/// Most results of attempts that are kept.
const RESULTS_KEPT: usize = 20_000;

/// The callbacks of one server: those to send, and the results of those that were sent.
#[derive(Debug)]
pub(crate) struct SharedCallbacks {
    secret: Secret,
    /// Pauses before the repetitions of a callback that failed.
    pauses: Vec<Duration>,
    pending: mpsc::UnboundedSender<PendingCallback>,
    results: Mutex<VecDeque<SimCallback>>,
}

/// The receiving end of the queue, for [`run`].
#[derive(Debug)]
pub(crate) struct QueuedCallbacks(mpsc::UnboundedReceiver<PendingCallback>);

impl SharedCallbacks {
    /// Returns the callbacks of a server, and the queue that [`run`] empties.
    pub(crate) fn new(secret: Secret, pauses: Vec<Duration>) -> (Self, QueuedCallbacks) {
        let (pending, queued) = mpsc::unbounded_channel();
        (Self { secret, pauses, pending, results: Mutex::default() }, QueuedCallbacks(queued))
    }

    /// Queues the callbacks that report a change.
    pub(crate) fn report(&self, reported: &TimedChange) {
        for callback in of_change(reported, &self.secret) {
            // Sending fails only while the server stops; then the callback is dropped.
            let _ = self.pending.send(callback);
        }
    }

    /// Returns the results of the latest attempts, oldest first.
    pub(crate) fn results(&self) -> Vec<SimCallback> {
        lock(&self.results).iter().cloned().collect()
    }

    fn record(&self, result: SimCallback) {
        let mut results = lock(&self.results);
        if results.len() == RESULTS_KEPT {
            results.pop_front();
        }
        results.push_back(result);
    }
}

/// Sends callbacks until `stop`.
pub(crate) async fn run(
    callbacks: Arc<SharedCallbacks>,
    mut queued: QueuedCallbacks,
    tasks: TaskGroup,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http();
    loop {
        let callback = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            callback = queued.0.recv() => match callback {
                Some(callback) => callback,
                None => return Ok(()),
            },
        };
        let sending = send(Arc::clone(&callbacks), client.clone(), callback);
        let stop = stop.clone();
        tasks.spawn_short("sim-callback", async move {
            tokio::select! {
                () = stop.cancelled() => {}
                () = sending => {}
            }
        });
    }
}

async fn send(
    callbacks: Arc<SharedCallbacks>,
    client: Client<HttpConnector, Full<Bytes>>,
    callback: PendingCallback,
) {
    let mut pauses = callbacks.pauses.iter().filter(|_| callback.again);
    loop {
        let status = attempt(&client, &callback.request).await;
        let url = callback.request.uri().to_string();
        debug!(?status, "a callback was made");
        callbacks.record(SimCallback { url, status });
        if status.is_some_and(|status| (200..300).contains(&status)) {
            return;
        }
        match pauses.next() {
            Some(pause) => tokio::time::sleep(*pause).await,
            None => return,
        }
    }
}

async fn attempt(client: &Client<HttpConnector, Full<Bytes>>, request: &Request<Full<Bytes>>) -> Option<u16> {
    debug_assert!(matches!(*request.method(), Method::GET | Method::POST));
    let exchange = async {
        let response = client.request(request.clone()).await.ok()?;
        let status = response.status().as_u16();
        response.into_body().collect().await.ok()?;
        Some(status)
    };
    tokio::time::timeout(PATIENCE, exchange).await.ok().flatten()
}
