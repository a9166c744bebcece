//! The ports that the tasks need: a store and BBB servers.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use tokio::sync::mpsc;
use usher_bbb::secret::Secret;
use usher_model::{
    id::InternalMeetingId,
    revision::FencingToken,
    server::{Server, ServerSample},
};

use crate::core::upkeep::StoreSpace;

/// A key with its value. Keys are relative to the store's prefix: `servers/bbb1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreEntry {
    /// The key, without prefix.
    pub key: String,
    /// Value of the key.
    pub value: Bytes,
    /// Revision that created the key.
    pub create_revision: u64,
    /// Revision that last changed it.
    pub mod_revision: u64,
}

/// Every entry below a prefix at one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreListing {
    /// Revision of the store when it was read.
    pub revision: u64,
    /// The entries, by key.
    pub entries: Vec<StoreEntry>,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyChange {
    /// The key has this value now.
    Put(StoreEntry),
    /// The key is gone.
    Delete {
        /// The key, without prefix.
        key: String,
    },
}

/// All changes of one revision; never split over two batches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeBatch {
    /// Revision of the store.
    pub revision: u64,
    /// Changes, in the order of the transaction.
    pub changes: Vec<KeyChange>,
    /// Whether each deletion in it went through this port, and not through an operator's hand or a
    /// script. It is known only if the whole prefix is watched.
    pub attested: bool,
}

/// A condition of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnGuard {
    /// The key does not exist.
    Absent(String),
    /// The key exists and was last changed at this revision.
    Unchanged(String, u64),
    /// The writer still leads: its election key exists as it was created.
    Fence(FencingToken),
}

/// A change a transaction makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnWrite {
    /// Sets a key to a value.
    Put(String, Bytes),
    /// Takes a key out, if it is there.
    Delete(String),
}

/// All writes if every guard holds, else none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreTxn {
    /// Conditions that must all hold.
    pub guards: Vec<TxnGuard>,
    /// Changes; each key at most once.
    pub writes: Vec<TxnWrite>,
}

/// How the store decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TxnVerdict {
    /// Written at this revision.
    Committed(u64),
    /// A guard failed while the store was at this revision. A fleet that has applied it shows the
    /// reason.
    Refused(u64),
}

/// Error of the store, by the action that the caller should take next.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Nothing was written: try again later.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// Perhaps it was written: read back before anything else.
    #[error("the store's answer was lost: {0}")]
    Unknown(String),
    /// The store refuses writes and an operator must act: no space, no permission, too large.
    #[error("the store refuses: {0}")]
    Rejected(String),
}

/// Why a watch ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    /// The requested history is compacted: list again.
    #[error("history before revision {0} is compacted")]
    Compacted(u64),
    /// The connection is gone: watch again from the last revision seen.
    #[error("watch lost: {0}")]
    Lost(String),
}

/// The replicated store behind every replica.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Reads every entry whose key starts with `prefix`, linearizably.
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError>;

    /// Reads every entry whose key starts with `prefix`, linearizably, and hands them out in parts,
    /// all at one revision, in the order of their keys. So their reader works on one part while the
    /// next one is read, and the whole is never in memory. The parts are incomplete after an error.
    async fn read_parts(&self, prefix: &str, parts: mpsc::Sender<StoreListing>) -> Result<(), StoreError> {
        let listing = self.read_prefix(prefix).await?;
        let _ = parts.send(listing).await; // a reader that is gone needs no part
        Ok(())
    }

    /// Returns the store's current revision, linearizably.
    async fn revision(&self) -> Result<u64, StoreError>;

    /// Returns the revision of the newest change of a present entry whose key starts with `prefix`,
    /// linearizably; 0 without an entry.
    async fn newest_change(&self, prefix: &str) -> Result<u64, StoreError> {
        let entries = self.read_prefix(prefix).await?.entries;
        Ok(entries.iter().map(|entry| entry.mod_revision).max().unwrap_or_default())
    }

    /// Follows every change at or after revision `from` to keys that start with `prefix`, in
    /// order, whole revisions at a time. The stream ends with an error, never silently.
    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError>;

    /// Decides each transaction on its own, all in as few round trips as the store allows. They
    /// must be independent: none writes a key that another guards or writes.
    ///
    /// # Errors
    /// The error holds for all of them.
    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError>;

    /// Forgets the history before `revision` and keeps the present values. A watcher from before it
    /// gets [`WatchError::Compacted`]. The call succeeds if the history is compacted already.
    async fn compact(&self, revision: u64) -> Result<(), StoreError>;

    /// Returns the space that the store takes on its disk.
    async fn space(&self) -> Result<StoreSpace, StoreError>;

    /// Returns a number that a restored or remade store cluster does not share with its past.
    async fn cluster_id(&self) -> Result<u64, StoreError>;

    /// Waits until this candidate leads.
    ///
    /// # Cancel safety
    /// Dropped before it returns, it leaves at most a lease that runs out.
    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn LeaderLease>, StoreError>;

    /// Returns the candidate that leads now, if one does.
    async fn leader(&self) -> Result<Option<String>, StoreError>;
}

/// The right to lead, for as long as it is kept alive.
#[async_trait]
pub trait LeaderLease: Send + 'static {
    /// Returns the token that guards the leader's writes.
    fn token(&self) -> FencingToken;

    /// Renews the lease once and returns its new time to live.
    ///
    /// # Errors
    /// `Rejected` when the lease is gone; the others as ever.
    async fn keep_alive(&mut self) -> Result<Duration, StoreError>;

    /// Gives the lease up, so that another candidate leads at once.
    async fn resign(self: Box<Self>) -> Result<(), StoreError>;
}

/// Error of a poll or another call to a BBB server (requirements A3). `Display` never names a secret,
/// checksum or URL query.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BbbCallError {
    /// No connection: the request was certainly not sent.
    #[error("connect: {0}")]
    Connect(String),
    /// No complete answer by the deadline.
    #[error("no answer within {0:?}")]
    Timeout(Duration),
    /// The connection broke after the request was sent.
    #[error("connection lost: {0}")]
    Broken(String),
    /// HTTP status other than 200.
    #[error("HTTP status {0}")]
    Status(u16),
    /// Empty, HTML, cut or otherwise unreadable answer.
    #[error("unreadable answer: {0}")]
    Unreadable(String),
    /// A well-formed FAILED answer, with its messageKey.
    #[error("FAILED {0}")]
    Failed(String),
}

/// How an `end` came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndCallOutcome {
    /// The server took the request; a later poll shows when it is done.
    Requested,
    /// The server knows no such meeting.
    NotFound,
}

/// Calls to the BBB servers of the fleet.
#[async_trait]
pub trait BbbServers: Send + Sync + 'static {
    /// Asks for every meeting (`getMeetings`). Breakouts are listed and marked. `watermark` and the
    /// wall clock are the caller's; the sample carries them.
    async fn poll(&self, server: &Server, watermark: u64) -> Result<ServerSample, BbbCallError>;

    /// Ends one instance by its internal id, which a newer meeting of the same id never has.
    async fn end(
        &self,
        server: &Server,
        meeting: &InternalMeetingId,
        moderator_password: Option<&Secret>,
    ) -> Result<EndCallOutcome, BbbCallError>;

    /// Asks whether one meeting still exists (`getMeetingInfo`), by its `meetingID` or internal id.
    async fn exists(&self, server: &Server, meeting: &str) -> Result<bool, BbbCallError>;
}
