//! Polls that a replica asks for and another makes: only the leader polls, so that a server is asked
//! once at a time, and the store is what replicas share. `polls/SERVER` is an ask; the leader takes
//! it out when the poll that it made for it has been written.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use usher_model::{id::ServerId, revision::Revision};
use usher_runtime::{clock, tasks::TaskGroup};

use super::{
    fleet_handle::FleetHandle,
    leadership::Leadership,
    poller::Pollers,
    prefix_follower::{News, PrefixFollower},
};
use crate::ports::{Change, Entry, Guard, Store, StoreError, Txn, Verdict, Write};

/// Where asks stand.
const PREFIX: &str = "polls/";
/// Longest wait until this replica sees what the leader wrote.
const SEE_WITHIN: Duration = Duration::from_secs(2);

/// Why a poll that was asked for was not seen.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Nobody leads, or whoever does did not come round to it.
    #[error("no replica that leads has made the poll in time")]
    Late,
}

/// Asks and answers; clones share everything.
#[derive(Clone)]
pub struct PollAsks {
    store: Arc<dyn Store>,
    fleet: FleetHandle,
    leadership: Leadership,
    pollers: Pollers,
    tasks: TaskGroup,
}

impl PollAsks {
    /// Asks through `store`, and answers by `pollers` while this replica leads.
    pub fn new(
        store: Arc<dyn Store>,
        fleet: FleetHandle,
        leadership: Leadership,
        pollers: Pollers,
        tasks: TaskGroup,
    ) -> Self {
        Self { store, fleet, leadership, pollers, tasks }
    }

    /// Has the leader poll a server, and returns when `fleet` shows what came of it.
    ///
    /// # Errors
    /// The store could not take the ask, or the answer was not there by `deadline`. The ask stands
    /// then, and the next leader makes the poll.
    pub async fn ask(&self, server: &ServerId, deadline: Instant) -> Result<(), AskError> {
        tokio::time::timeout_at(deadline.into(), self.asked(server)).await.unwrap_or(Err(AskError::Late))
    }

    async fn asked(&self, server: &ServerId) -> Result<(), AskError> {
        let key = format!("{PREFIX}{server}");
        let ask = Txn { guards: Vec::new(), writes: vec![Write::Put(key.clone(), Bytes::from_static(b"1"))] };
        let epoch = self.fleet.revision().epoch;
        let mut from = match self.store.commit(vec![ask]).await?.first() {
            Some(Verdict::Committed(revision)) => revision + 1,
            Some(Verdict::Refused(_)) | None => return Err(AskError::Late), // it has no guards
        };
        loop {
            let mut changes = self.store.watch(&key, from).await?;
            while let Some(Ok(batch)) = changes.next().await {
                let answered =
                    |change: &Change| matches!(change, Change::Delete { key: gone } if *gone == key);
                if batch.changes.iter().any(answered) {
                    let _ = self.fleet.reach(Revision::new(epoch, batch.revision), SEE_WITHIN).await; // late, but it was polled
                    return Ok(());
                }
            }
            // The watch was lost: the ask is answered if it is gone.
            let listing = self.store.read_prefix(&key).await?;
            if listing.entries.iter().all(|entry| entry.key != key) {
                let _ = self.fleet.reach(Revision::new(epoch, listing.revision), SEE_WITHIN).await;
                return Ok(());
            }
            from = listing.revision + 1;
        }
    }

    /// Answers asks whenever this replica leads, until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut roles = self.leadership.changes();
        loop {
            roles.mark_unchanged();
            let answering = async {
                if self.leadership.leads() { self.answer().await } else { std::future::pending().await }
            };
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = roles.changed() => changed?,
                () = answering => {}
            }
        }
    }

    /// Answers what stands, then what comes. Never returns.
    async fn answer(&self) {
        let mut asks = PrefixFollower::new(Arc::clone(&self.store), PREFIX);
        loop {
            match asks.next().await {
                News::All(listing) => listing.entries.iter().for_each(|entry| self.take(entry)),
                News::Changed(batch) => batch.changes.iter().for_each(|change| match change {
                    Change::Put(entry) => self.take(entry),
                    Change::Delete { .. } => {}
                }),
            }
        }
    }

    /// Makes a poll and takes its ask out; one that was renewed meanwhile stays for its own poll.
    fn take(&self, entry: &Entry) {
        let (asks, key, revision) = (self.clone(), entry.key.clone(), entry.mod_revision);
        self.tasks.spawn_short("poll ask", async move {
            let server = key.strip_prefix(PREFIX).and_then(|id| ServerId::parse(id).ok());
            if let Some(server) = server
                && let Err(error) = asks.pollers.poll_now(&server).await
            {
                debug!(%server, %error, "a poll that was asked for is not made");
            }
            let Some(token) = asks.leadership.token(clock::now()) else { return };
            let guards = vec![Guard::Unchanged(key.clone(), revision), Guard::Fence(token)];
            let answered = Txn { guards, writes: vec![Write::Delete(key)] };
            if let Err(error) = asks.store.commit(vec![answered]).await {
                warn!(%error, "an ask for a poll stays, and its poll is made again");
            }
        });
    }
}
