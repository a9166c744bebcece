//! The index: the facts of all recordings, in a database. State is in the database alone (R3).

use async_trait::async_trait;
use usher_model::id::{ServerId, TenantId};

use crate::core::{
    facts::FormatFacts,
    names::{FormatName, GenerationId, RecordId},
    query::RecordingQuery,
    shown::ShownRecording,
    stored::StoredRecording,
};

/// The reason why the index has no answer. None of the writes of a failed call may be half done; a call whose answer
/// was lost may have been done.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// The database does not answer, or refuses for now.
    #[error("the database is unavailable")]
    Unavailable(#[source] anyhow::Error),
    /// A row cannot be read.
    #[error("the row of `{0}` cannot be read")]
    Unreadable(String),
    /// The call contradicts itself, and fails again if it is repeated: a fault of the program. It has changed no row.
    #[error("the call to the index is refused: {0}")]
    Refused(&'static str),
}

/// How often the row of a recording was written; 0 if there is no row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct RowVersion(pub u64);

/// A recording and the version of its row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VersionedRecording {
    /// The version of the row.
    pub version: RowVersion,
    /// The recording of the row.
    pub recording: StoredRecording,
}

/// The rest of a recording that was deleted. It refuses every later import (R4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tombstone {
    /// The owner of the deleted recording.
    pub tenant: TenantId,
    /// When it was deleted, milliseconds since 1970.
    pub deleted_ms: u64,
}

/// A write of one recording, decided on the version that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingWrite {
    /// The version on which the write was decided; 0 for a new recording.
    pub seen: RowVersion,
    /// The recording afterwards. A deleted one gets a tombstone, and a restored one loses it.
    pub recording: StoredRecording,
    /// A generation that the write takes out of play, by its format.
    pub retired: Option<(FormatName, GenerationId)>,
    /// The offer that the write completes; it is removed. If it has ended, the write is stale.
    pub completed: Option<OfferId>,
    /// When the write was decided, milliseconds since 1970.
    pub at_ms: u64,
    /// The words for the journal: the kind of the change, never names or values.
    pub journal: &'static str,
}

/// The outcome of writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteOutcome {
    /// All writes were done.
    Done,
    /// A recording has another version, a tombstone refuses a new one, or a completed offer has ended: no write was
    /// done.
    Stale,
}

/// A page of a list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexPage {
    /// The recordings of the page, in the order of [`RecordingQuery`].
    pub recordings: Vec<ShownRecording>,
    /// The number of recordings of all pages.
    pub total: u64,
}

/// The name of an offer, 32 hexadecimal digits of chance.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OfferId(pub String);

/// An announced upload of one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UploadOffer {
    /// The name of the offer.
    pub id: OfferId,
    /// The server that made the offer; only this one may go on with it.
    pub server: ServerId,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The facts of the metadata.xml.
    pub facts: FormatFacts,
    /// The files, by their manifest, which is an object of the storage.
    pub generation: GenerationId,
    /// The end of the offer, milliseconds since 1970; each upload to it postpones the end.
    pub expires_ms: u64,
}

/// A generation that was taken out of play, and whose files are still there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetiredGeneration {
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The id of the recording.
    pub record_id: RecordId,
    /// The name of the format.
    pub format: FormatName,
    /// The name of the generation.
    pub generation: GenerationId,
}

/// The facts of all recordings.
#[async_trait]
pub trait RecordingIndex: Send + Sync + std::fmt::Debug {
    /// Returns a recording in any state.
    async fn recording(&self, id: &RecordId) -> Result<Option<VersionedRecording>, IndexError>;

    /// Returns the tombstone of a recording.
    async fn tombstone(&self, id: &RecordId) -> Result<Option<Tombstone>, IndexError>;

    /// Makes all writes in one transaction, or none.
    async fn write(&self, writes: &[RecordingWrite]) -> Result<WriteOutcome, IndexError>;

    /// Returns a page of the recordings that match a query.
    async fn page(&self, query: &RecordingQuery) -> Result<IndexPage, IndexError>;

    /// Returns those of the ids that have a row or a tombstone, of any tenant.
    async fn known(&self, ids: &[RecordId]) -> Result<Vec<RecordId>, IndexError>;

    /// Keeps an offer. If the same server has an offer of the same generation of the same format already, that one is
    /// returned, with the facts and the end of the new one.
    async fn keep_offer(&self, offer: &UploadOffer) -> Result<UploadOffer, IndexError>;

    /// Returns an offer by its name.
    async fn offer(&self, id: &OfferId) -> Result<Option<UploadOffer>, IndexError>;

    /// Postpones the end of an offer.
    async fn postpone_offer(&self, id: &OfferId, expires_ms: u64) -> Result<(), IndexError>;

    /// Removes an offer by its name.
    async fn remove_offer(&self, id: &OfferId) -> Result<(), IndexError>;

    /// Returns at most `most` offers that ended before `now_ms`.
    async fn expired_offers(&self, now_ms: u64, most: u32) -> Result<Vec<UploadOffer>, IndexError>;

    /// Returns at most `most` generations that were taken out of play before `before_ms`, the first ones first.
    async fn retired_generations(
        &self,
        before_ms: u64,
        most: u32,
    ) -> Result<Vec<RetiredGeneration>, IndexError>;

    /// Forgets a generation whose files were removed, unless it plays again.
    async fn forget_generation(&self, generation: &RetiredGeneration) -> Result<(), IndexError>;

    /// Returns whether a format plays a generation, or an offer is about to bring it.
    async fn uses_generation(
        &self,
        id: &RecordId,
        format: &FormatName,
        generation: &GenerationId,
    ) -> Result<bool, IndexError>;
}
