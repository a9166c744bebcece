//! The key that seals callback addresses (ADR 10). It is made once and kept in the store. A replica
//! that has seen it writes it again if the store loses it, so that servers can go on using the
//! addresses they have.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::warn;
use usher_bbb::secret::Secret;
use usher_model::callback::CallbackKey;
use usher_runtime::clock;

use crate::{
    notifications::store::deliveries::{KEY, decode_key, encode_key},
    ports::{Store, StoreError, StoreTxn, TxnGuard, TxnWrite},
    tasks::{backoff::Backoff, epoch_writer::EpochWriter, fleet_handle::FleetHandle},
};

/// Interval at which the store is checked for the key without a sign of a loss.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Keeps the key; clones share it.
#[derive(Clone)]
pub struct CallbackKeys {
    store: Arc<dyn Store>,
    writer: EpochWriter,
    fleet: FleetHandle,
    current: Arc<watch::Sender<Option<Secret>>>,
}

impl CallbackKeys {
    /// Returns a keeper of the key in `store`. It checks the store at an interval and in every
    /// epoch of `fleet`.
    pub fn new((store, writer): (Arc<dyn Store>, EpochWriter), fleet: FleetHandle) -> Self {
        Self { store, writer, fleet, current: Arc::new(watch::Sender::new(None)) }
    }

    /// Returns the key, and waits for the store if necessary; `None` if the key is unknown by
    /// `deadline`.
    pub async fn get(&self, deadline: Instant) -> Option<Secret> {
        let mut current = self.current.subscribe();
        let known = current.wait_for(Option::is_some);
        tokio::time::timeout_at(deadline.into(), known).await.ok()?.ok()?.clone()
    }

    /// Returns the key, if this replica knows it.
    pub fn now(&self) -> Option<Secret> {
        self.current.borrow().clone()
    }

    /// Reads or makes the key, and writes it again after a loss, until asked to stop.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut revisions = self.fleet.revisions();
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        let (mut done, mut looked_at) = (None, clock::now());
        loop {
            let epoch = revisions.borrow_and_update().epoch;
            if self.fleet.complete() && done != Some(epoch) {
                let ensured = tokio::select! {
                    () = stop.cancelled() => return Ok(()),
                    ensured = self.ensure() => ensured,
                };
                match ensured {
                    Ok(()) => {
                        backoff.reset();
                        (done, looked_at) = (Some(epoch), clock::now());
                    }
                    Err(error) => {
                        warn!(%error, "callback key unavailable");
                        tokio::select! {
                            () = stop.cancelled() => return Ok(()),
                            () = tokio::time::sleep(backoff.pause()) => continue,
                        }
                    }
                }
            }
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                changed = revisions.changed() => changed?,
                // The key alone may be lost, which begins no epoch.
                () = tokio::time::sleep_until((looked_at + LOOK_AGAIN).into()) => done = None,
            }
        }
    }

    async fn ensure(&self) -> Result<(), StoreError> {
        loop {
            let listing = self.store.read_prefix(KEY).await?;
            if let Some(entry) = listing.entries.iter().find(|entry| entry.key == KEY) {
                let key =
                    decode_key(&entry.value).map_err(|error| StoreError::Rejected(error.to_string()))?;
                let before = self.current.send_replace(Some(key.clone()));
                if before.is_some_and(|before| before != key) {
                    warn!("callback key changed, the store had lost the former one");
                }
                return Ok(());
            }
            let key = self.current.borrow().clone();
            let key = key.unwrap_or_else(|| CallbackKey::encode(rand::random()));
            let guards = vec![TxnGuard::Absent(KEY.into())];
            // The first writer wins; the next reading returns its key.
            let writes = vec![TxnWrite::Put(KEY.into(), encode_key(&key))];
            self.writer.commit_one(StoreTxn { guards, writes }).await?;
        }
    }
}
