//! A seal by which a control plane certifies that the store was at a revision of an epoch (ADR 19). Edges
//! keep it and report it.
//!
//! An edge may be broken or hostile and may use any number of names, so that the agreement of edges
//! proves no revision. A reported revision counts by its seal alone: the key is in the store, no edge
//! ever receives it, and a replica seals only revisions that it has applied.

use std::fmt;

use aws_lc_rs::hmac;
use usher_model::revision::Revision;

/// Separates these seals from other uses of an HMAC with the same key.
const PURPOSE: &[u8] = b"usher history 1";

/// The key of the seals of one store.
#[derive(Clone, PartialEq, Eq)]
pub struct HistoryKey([u8; Self::LEN]);

impl fmt::Debug for HistoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistoryKey(***)")
    }
}

impl HistoryKey {
    /// Length of a key in bytes.
    pub const LEN: usize = 32;

    /// Returns the key of these random bytes.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes of the key for the store.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Returns the seal of a revision that this replica has applied: an HMAC-SHA-256 of 32 bytes.
    pub fn seal(&self, revision: Revision) -> Vec<u8> {
        hmac::sign(&self.key(), &message(revision)).as_ref().to_vec()
    }

    /// Returns whether `mac` is the seal of exactly this revision by this key.
    pub fn sealed(&self, revision: Revision, mac: &[u8]) -> bool {
        hmac::verify(&self.key(), &message(revision), mac).is_ok()
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.0)
    }
}

fn message(revision: Revision) -> Vec<u8> {
    [PURPOSE, &revision.epoch.to_be_bytes(), &revision.seq.to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn i10_a_seal_fits_the_revision_it_was_made_for_and_no_other(
            (epoch, seq, other_epoch, other_seq) in any::<(u64, u64, u64, u64)>(),
            key in any::<[u8; 32]>(),
            other_key in any::<[u8; 32]>(),
            forged in proptest::collection::vec(any::<u8>(), 0..40),
        ) {
            let (held, other) = (Revision::new(epoch, seq), Revision::new(other_epoch, other_seq));
            let seal = HistoryKey::new(key).seal(held);
            prop_assert!(HistoryKey::new(key).sealed(held, &seal));
            prop_assert!(held == other || !HistoryKey::new(key).sealed(other, &seal));
            prop_assert!(key == other_key || !HistoryKey::new(other_key).sealed(held, &seal));
            prop_assert!(forged == seal || !HistoryKey::new(key).sealed(held, &forged));
            prop_assert!(!HistoryKey::new(key).sealed(held, &seal[..31]));
        }
    }

    #[test]
    fn a_key_is_not_printed() {
        assert_eq!(format!("{:?}", HistoryKey::new([7; 32])), "HistoryKey(***)");
    }
}
