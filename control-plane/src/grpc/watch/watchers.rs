//! The places of watchers and the streams that they read. A reader that is too slow is ended; it
//! never delays the fleet, because only the task of its own watch waits for it.

use std::{pin::Pin, sync::Arc, time::Duration};

use futures::{Stream, StreamExt as _, stream};
use tokio::{
    sync::{Semaphore, mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use usher_runtime::tasks::TaskGroup;

use crate::{grpc::status::RpcRefusal, tasks::fleet_handle::FleetHandle};

/// Watchers of this replica at once.
const MOST_WATCHERS: usize = 64;
/// Messages that wait for a reader.
const WAITING: usize = 4;
/// Longest time that a reader takes for a message.
const READ_WITHIN: Duration = Duration::from_secs(20);

/// The stream of a watcher: its messages, then the reason of its end.
pub(in crate::grpc) type WatchStream<M> = Pin<Box<dyn Stream<Item = Result<M, Status>> + Send>>;

/// The reason why a watch ends; `None` if the reader is gone.
pub(super) type WatchEnd = Option<RpcRefusal>;

/// The places of watchers, and the owner of their tasks; clones share them.
#[derive(Clone)]
pub(in crate::grpc) struct Watchers {
    places: Arc<Semaphore>,
    tasks: TaskGroup,
    /// The fleet that is watched.
    pub(super) fleet: FleetHandle,
}

impl Watchers {
    /// Returns the watchers of a fleet, whose tasks stop with `tasks`.
    pub(in crate::grpc) fn new(fleet: FleetHandle, tasks: TaskGroup) -> Self {
        Self { places: Arc::new(Semaphore::new(MOST_WATCHERS)), tasks, fleet }
    }

    /// Takes a place and begins a stream, whose messages `watch` sends until it ends.
    ///
    /// # Errors
    /// All places are taken.
    pub(super) fn stream<M, F>(
        &self,
        watch: impl FnOnce(WatchSender<M>) -> F,
    ) -> Result<WatchStream<M>, RpcRefusal>
    where
        M: Send + 'static,
        F: Future<Output = WatchEnd> + Send + 'static,
    {
        let place = Arc::clone(&self.places).try_acquire_owned().map_err(|_| RpcRefusal::Exhausted {
            reason: "TOO_MANY_WATCHERS",
            problem: format!("this replica serves {MOST_WATCHERS} watchers already; use another one"),
        })?;
        let (sender, receiver) = mpsc::channel(WAITING);
        let (end, ended) = oneshot::channel();
        let (stopping, watch) = (self.tasks.stopping(), watch(WatchSender(sender.clone())));
        self.tasks.spawn_short("watch", async move {
            let _place = place;
            let reason = tokio::select! {
                () = stopping.cancelled() => {
                    Some(RpcRefusal::retry("STOPPING", "this control plane stops; watch another one"))
                }
                // A reader that is gone leaves its place at once.
                () = sender.closed() => None,
                reason = watch => reason,
            };
            let _ = end.send(reason); // the reader may be gone
        });
        // The reason is not in the channel, which may be full.
        let end = stream::once(ended)
            .filter_map(|reason| async { reason.ok().flatten().map(|refusal| Err(Status::from(refusal))) });
        Ok(Box::pin(ReceiverStream::new(receiver).map(Ok).chain(end)))
    }
}

/// Sends the messages of a watch.
pub(super) struct WatchSender<M>(mpsc::Sender<M>);

impl<M> WatchSender<M> {
    /// Sends a message.
    ///
    /// # Errors
    /// The reader is gone or too slow.
    pub(super) async fn send(&self, message: M) -> Result<(), WatchEnd> {
        match timeout(READ_WITHIN, self.0.send(message)).await {
            Ok(sent) => sent.map_err(|_| None),
            Err(_) => Err(Some(RpcRefusal::Exhausted {
                reason: "SLOW_READER",
                problem: format!("no message was read for {READ_WITHIN:?}; watch again"),
            })),
        }
    }
}
