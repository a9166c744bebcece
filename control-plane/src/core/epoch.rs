//! The epoch of a decision, and the evidence for a new one (ADR 8, ADR 19).
//!
//! | source | observation | a new epoch |
//! |---|---|---|
//! | the store | it has no `meta`, or that of another cluster | begins |
//! | the store | its revision is earlier than the one that this replica has applied | begins |
//! | the store | a key differs from the value that this replica has applied | begins |
//! | the store | keys of the fleet were removed, and not by a control plane | begins |
//! | an edge | a later revision of the store, sealed by a control plane | begins |
//! | an edge, or any number of them | the same without a valid seal | does not begin |
//! | a server | it runs an instance of ours that is not in the store | does not begin: the instance is adopted |
//! | a clock | any reading | does not begin |
//!
//! An edge alone is no witness: it may be broken or hostile, and may use any number of names. A server
//! alone is none either: while no replica leads, an instance can be created and removed from the store
//! and still run. Therefore no [`EpochEvidence`] exists for a server or a clock.

use usher_model::revision::Revision;

use super::seal::HistoryKey;

/// One period of the store's history. It begins when the store is created, is found restored from a
/// backup, or is found without some of its keys; its number is random. Revisions of different epochs
/// are not ordered, and a decision of one epoch must not be written in another (I10).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch {
    /// The random number of the epoch; 0 before the store was first read.
    pub number: u64,
    /// The revision that began the epoch. A value that was written at or before it belongs to an earlier
    /// epoch and proves nothing about the meetings that run now.
    pub begun: u64,
}

/// A revision with the seal of a control plane, as an edge reported it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRevision {
    /// The revision that the seal should cover.
    pub revision: Revision,
    /// The seal: an HMAC-SHA-256 of 32 bytes if it is valid.
    pub mac: Vec<u8>,
}

/// Evidence of a new epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EpochEvidence {
    /// The revision of the store is earlier than the one that this replica has applied.
    WentBack {
        /// The last revision that this replica applied.
        applied: u64,
        /// The present revision of the store.
        now: u64,
    },
    /// A key of the store differs from the value that this replica has applied at the same revision.
    Contradicts,
    /// Keys of the fleet were removed, and not by a control plane.
    Taken,
    /// An edge reported a later revision with a seal.
    Edge(SealedRevision),
}

impl EpochEvidence {
    /// Returns whether this evidence ends `epoch`. `key` is the key of the seals, `store_at` the revision
    /// at which the store was just read.
    pub fn suffices(&self, epoch: Epoch, key: Option<&HistoryKey>, store_at: u64) -> bool {
        match self {
            Self::WentBack { applied, now } => now < applied,
            Self::Contradicts | Self::Taken => true,
            Self::Edge(sealed) => {
                sealed.revision.epoch == epoch.number
                    && sealed.revision.seq > store_at
                    && key.is_some_and(|key| key.sealed(sealed.revision, &sealed.mac))
            }
        }
    }
}

#[cfg(test)]
mod tests;
