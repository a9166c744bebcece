//! Revisions, the points in the history of the store (ADR 2, ADR 8), and the token that stops a past leader.

use std::fmt;

/// A point in the history of the store. Revisions of different epochs have no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Revision {
    /// Random number of one history of the store. A store that lost data, such as a restored backup, gets a new
    /// one.
    pub epoch: u64,
    /// Sequence number of the store in this epoch.
    pub seq: u64,
}

impl Revision {
    /// Returns the point `seq` of an epoch.
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }

    /// Tells whether this revision is `other` or a later one of the same epoch (I10).
    pub const fn reaches(self, other: Self) -> bool {
        self.epoch == other.epoch && self.seq >= other.seq
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}", self.epoch >> 32, self.seq)
    }
}

/// The fencing token: the election key and the revision that created it. It guards every write of the leader,
/// so that the writes of a past leader fail (style P8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FencingToken {
    /// The election key, with its prefix.
    pub key: String,
    /// Store revision at which the key was created.
    pub create_revision: u64,
}
