//! A watch of a prefix over a link: in order, late if the link is slow, and broken if the link is
//! cut for longer than the client's timeout.

use std::{sync::Arc, time::Duration};

use futures::stream::{BoxStream, StreamExt};
use tokio::{sync::mpsc, time::sleep};
use tokio_stream::wrappers::ReceiverStream;
use usher_control_plane::ports::{ChangeBatch, WatchError};

use super::{SimStore, state::WatchEnd};
use crate::network::{NodeLife, SimNetwork, SimNode};

/// The number of batches that may be in transit to one watcher.
const ON_THEIR_WAY: usize = 16;
/// The silence after which a client closes a connection: 2 s before it checks, and the store's
/// timeout.
const PATIENCE: Duration = Duration::from_secs(7);

pub(super) struct StoreWatch {
    pub(super) store: Arc<SimStore>,
    pub(super) net: Arc<SimNetwork>,
    pub(super) watcher: NodeLife,
    pub(super) prefix: String,
    pub(super) life: u64,
    pub(super) next: u64,
}

impl StoreWatch {
    pub(super) fn start(self) -> BoxStream<'static, Result<ChangeBatch, WatchError>> {
        let (sender, receiver) = mpsc::channel(ON_THEIR_WAY);
        tokio::spawn(async move {
            let closed = sender.clone();
            let crashed = self.watcher.crashed.clone();
            tokio::select! {
                biased;
                () = closed.closed() => {}
                () = crashed.cancelled() => {}
                error = self.run(&sender) => drop(sender.send(Err(error)).await),
            }
        });
        ReceiverStream::new(receiver).boxed()
    }

    async fn run(mut self, sender: &mpsc::Sender<Result<ChangeBatch, WatchError>>) -> WatchError {
        let node = self.watcher.node;
        loop {
            let changed = self.store.changed.notified();
            let batches = match self.store.since(self.life, &self.prefix, self.next) {
                Ok((batches, next)) => {
                    self.next = next;
                    batches
                }
                Err(WatchEnd::Compacted(revision)) => return WatchError::Compacted(revision),
                Err(WatchEnd::StoreLost) => return WatchError::Lost("the store is another".into()),
            };
            if batches.is_empty() {
                tokio::select! {
                    biased;
                    () = changed => {}
                    () = sleep(PATIENCE) => {}
                }
            } else {
                sleep(self.net.one_way(SimNode::Store, node)).await;
            }
            if !self.net.passes(SimNode::Store, node, PATIENCE).await {
                return WatchError::Lost("no sign of life".into());
            }
            self.net.moves(node).await;
            for batch in batches {
                if sender.send(Ok(batch)).await.is_err() {
                    return WatchError::Lost("the watcher has stopped".into());
                }
            }
        }
    }
}
