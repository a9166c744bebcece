//! Places in the store's history, and the token that stops a past leader.

use std::fmt;

/// A place in the store's history. Revisions of different epochs are not ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Revision {
    /// Random number of the store, made anew when it lost what it held: a restored backup is a new epoch.
    pub epoch: u64,
    /// The store's revision.
    pub seq: u64,
}

impl Revision {
    /// Names a place in the history of `epoch`.
    pub const fn new(epoch: u64, seq: u64) -> Self {
        Self { epoch, seq }
    }

    /// Tells whether this place is `other` or a later one of the same epoch (I10).
    pub const fn reaches(self, other: Self) -> bool {
        self.epoch == other.epoch && self.seq >= other.seq
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}/{}", self.epoch >> 32, self.seq)
    }
}

/// Proof of leadership: the election key and the revision that created it. Every leader write is
/// guarded by it, so that the writes of a deposed leader fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FencingToken {
    /// The election key, complete.
    pub key: String,
    /// Store revision that created the key.
    pub create_revision: u64,
}
