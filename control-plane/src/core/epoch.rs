//! Which life of the store a decision was made in.

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
