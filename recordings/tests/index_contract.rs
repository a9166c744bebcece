//! The contract of the index, which each database behind [`RecordingIndex`] must keep.
#![allow(clippy::unwrap_used, reason = "a test fails by a panic")]

#[path = "index_contract/lists.rs"]
mod lists;
#[path = "index_contract/samples.rs"]
mod samples;
#[path = "index_contract/sqlite.rs"]
mod sqlite;
#[path = "index_contract/writes.rs"]
mod writes;

use usher_recordings::{core::names::RecordId, ports::RecordingIndex};

/// An empty database.
trait IndexSubject {
    type Index: RecordingIndex;

    /// Opens the database, also more than once.
    async fn open(&self) -> Self::Index;

    /// Removes the row of a recording, as the purge will do.
    async fn purge(&self, id: &RecordId);

    /// Compares the counters of usage with the rows.
    async fn audit(&self);
}
