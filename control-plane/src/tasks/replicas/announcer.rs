//! Writes the statement of this replica when it changes, follows those of the others, and removes
//! those of replicas that are gone.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;
use tracing::debug;
use usher_runtime::clock;

use super::directory::{KnownReplicas, ReplicaDirectory};
use crate::{
    core::replicas::StatementSchedule,
    ports::{KeyChange, Store, StoreEntry, StoreTxn, TxnGuard, TxnVerdict, TxnWrite},
    store::{
        keys,
        replicas::{PREFIX, decode, encode, name_of, path},
    },
    tasks::{
        change_feed::ChangeFeed,
        epoch_writer::EpochWriter,
        leadership::Leadership,
        prefix_follower::{PrefixFollower, PrefixUpdate},
    },
};

/// Interval at which this replica compares its state with its statement.
const LOOK: Duration = Duration::from_secs(1);
/// Time without a candidacy after which a replica is gone for good. A candidacy is entered anew
/// after a lease ran out.
const GONE: Duration = Duration::from_mins(1);
/// Longest time of a write.
const WRITE_WITHIN: Duration = Duration::from_secs(5);
/// Longest time of the removal of the own statement at a stop.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// The task that keeps the directory.
pub struct ReplicaAnnouncer {
    store: Arc<dyn Store>,
    writer: EpochWriter,
    feed: ChangeFeed,
    leadership: Leadership,
    directory: ReplicaDirectory,
    schedule: StatementSchedule,
    /// Stored statements by key: revision, and since when their replica is no candidate.
    stored: BTreeMap<String, (u64, Option<Instant>)>,
}

impl ReplicaAnnouncer {
    /// Returns the task of a directory.
    pub fn new(
        (store, writer): (Arc<dyn Store>, EpochWriter),
        feed: ChangeFeed,
        leadership: Leadership,
        directory: ReplicaDirectory,
    ) -> Self {
        let (schedule, stored) = (StatementSchedule::default(), BTreeMap::new());
        Self { store, writer, feed, leadership, directory, schedule, stored }
    }

    /// Runs until asked to stop, then removes the statement.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut statements = PrefixFollower::new(&self.feed, self.store.clone(), PREFIX);
        let mut candidates = PrefixFollower::new(&self.feed, self.store.clone(), keys::ELECTION);
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                update = statements.next() => self.heard(update),
                update = candidates.next() => self.entered(update),
                _ = look.tick() => {
                    self.directory.collect_libraries();
                    self.announce().await;
                    self.tidy().await;
                }
            }
        }
        let own = TxnWrite::Delete(path(&self.directory.own().name));
        let _ = tokio::time::timeout(LEAVE_WITHIN, self.write(Vec::new(), own)).await; // the leader removes it else
        Ok(())
    }

    /// Applies an update of the statements.
    fn heard(&mut self, update: PrefixUpdate) {
        match update {
            PrefixUpdate::All(listing) => {
                self.stored.clear();
                self.directory.change(|known| known.statements.clear());
                listing.entries.into_iter().for_each(|entry| self.stated(&entry));
            }
            PrefixUpdate::Changed(batch) => {
                for change in batch.changes {
                    match change {
                        KeyChange::Put(entry) => self.stated(&entry),
                        KeyChange::Delete { key } => {
                            self.stored.remove(&key);
                            let name = name_of(&key).unwrap_or_default();
                            self.directory.change(|known| drop(known.statements.remove(&name)));
                        }
                    }
                }
            }
        }
        if !self.stored.contains_key(&path(&self.directory.own().name)) {
            self.schedule.lost();
        }
    }

    fn stated(&mut self, entry: &StoreEntry) {
        self.stored.insert(entry.key.clone(), (entry.mod_revision, None));
        if let (Some(name), Some(statement)) = (name_of(&entry.key), decode(&entry.value)) {
            self.directory.change(|known| drop(known.statements.insert(name, statement)));
        }
    }

    /// Applies an update of the candidates.
    fn entered(&self, update: PrefixUpdate) {
        fn enter(known: &mut KnownReplicas, entry: &StoreEntry) {
            let name = String::from_utf8_lossy(&entry.value).into_owned();
            known.candidates.insert(entry.key.clone(), (entry.create_revision, name));
        }
        match update {
            PrefixUpdate::All(listing) => self.directory.change(|known| {
                known.candidates.clear();
                listing.entries.iter().for_each(|entry| enter(known, entry));
            }),
            PrefixUpdate::Changed(batch) => self.directory.change(|known| {
                for change in &batch.changes {
                    match change {
                        KeyChange::Put(entry) => enter(known, entry),
                        KeyChange::Delete { key } => drop(known.candidates.remove(key)),
                    }
                }
            }),
        }
    }

    /// Writes the statement if it has changed.
    async fn announce(&mut self) {
        let now = clock::now();
        let statement = self.directory.own().statement(now);
        if !self.schedule.is_due(&statement, now) {
            return;
        }
        let put = TxnWrite::Put(path(&self.directory.own().name), encode(&statement));
        let is_written = self.write(Vec::new(), put).await;
        self.schedule.tried(statement, is_written, clock::now());
    }

    /// Removes the statements of replicas that are gone, if this replica leads.
    async fn tidy(&mut self) {
        let now = clock::now();
        let live: Vec<String> = self.directory.list().iter().map(|replica| path(&replica.name)).collect();
        let mut gone = None;
        for (key, (revision, missing)) in &mut self.stored {
            if live.contains(key) {
                *missing = None;
            } else if now.saturating_duration_since(*missing.get_or_insert(now)) > GONE {
                gone = Some((key.clone(), *revision));
            }
        }
        let Some((key, revision)) = gone.filter(|_| self.leadership.token(now).is_some()) else { return };
        debug!(key, "the statement of a replica that is gone is removed");
        self.write(vec![TxnGuard::Unchanged(key.clone(), revision)], TxnWrite::Delete(key)).await;
    }

    async fn write(&self, guards: Vec<TxnGuard>, write: TxnWrite) -> bool {
        let txn = StoreTxn { guards, writes: vec![write] };
        let written = tokio::time::timeout(WRITE_WITHIN, self.writer.commit_one(txn)).await;
        matches!(written, Ok(Ok(TxnVerdict::Committed(_))))
    }
}
