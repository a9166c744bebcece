//! Which life of the store a decision was made in, and what is evidence that another one has begun.
//!
//! | who says it | what | a new epoch |
//! |---|---|---|
//! | the store | it has no `meta`, or that of another cluster | begins |
//! | the store | it stands at an earlier revision than this replica has applied | begins |
//! | the store | it holds otherwise what this replica has applied | begins |
//! | the store | a foreign hand took out what the fleet is made of | begins |
//! | an edge | the store was at a later revision, sealed by a control plane | begins |
//! | an edge, or any number of them | the same without a seal that fits | does not begin |
//! | a server | it runs an instance of ours that the store does not tell of | does not begin: it is adopted |
//! | a clock | anything | does not begin |
//!
//! An edge is never a witness of its own: it may be broken or hostile, and call itself by any number of names.
//! Nor is a server: while nobody leads, an instance is created and taken out of the store again, and runs on. For
//! neither of the last two is there an [`EpochEvidence`].

use usher_model::revision::Revision;

use super::seal::HistoryKey;

/// One life of the store: it begins when the store is made, found restored or found robbed, and
/// with it a new random number. Revisions of different epochs are not ordered, and what was decided
/// in one must not be written in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Epoch {
    /// Names it; 0 before the store was first read.
    pub number: u64,
    /// Revision that began it: what was written at or before this belongs to an earlier life and
    /// proves nothing about what runs now.
    pub begun: u64,
}

/// A control plane's seal that an edge brought back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedRevision {
    /// The revision it is said to be of.
    pub revision: Revision,
    /// The seal.
    pub mac: Vec<u8>,
}

/// Evidence of a new epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EpochEvidence {
    /// The store stands at an earlier revision than this replica has applied.
    WentBack {
        /// What was applied.
        applied: u64,
        /// Where the store stands.
        now: u64,
    },
    /// The store holds otherwise what this replica has applied.
    Contradicts,
    /// A foreign hand took out what the fleet is made of.
    Taken,
    /// An edge brought this.
    Edge(SealedRevision),
}

impl EpochEvidence {
    /// Tells whether `epoch` is over by it. `key` is what seals are made by, `store_at` the revision at which the
    /// store was just read.
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
