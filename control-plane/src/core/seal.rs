//! A control plane's word that the store was at a revision of an epoch, for edges to keep and to bring back.
//!
//! An edge may be broken, or in a hostile hand, and may call itself by any number of names, so that edges bear
//! each other no witness. What they bring back is believed for its seal alone: the key stands in the store, is
//! shown to no edge, and a replica seals nothing but what it has applied.

use std::fmt;

use aws_lc_rs::hmac;
use usher_model::revision::Revision;

/// Keeps what is sealed here from meaning anything elsewhere.
const PURPOSE: &[u8] = b"usher history 1";

/// The key of one store.
#[derive(Clone, PartialEq, Eq)]
pub struct HistoryKey([u8; Self::LEN]);

impl fmt::Debug for HistoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HistoryKey(***)")
    }
}

impl HistoryKey {
    /// Length of a key, bytes.
    pub const LEN: usize = 32;

    /// Takes random bytes as a key.
    pub const fn new(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// Returns the bytes it is stored as.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Seals a revision that was applied.
    pub fn seal(&self, revision: Revision) -> Vec<u8> {
        hmac::sign(&self.key(), &message(revision)).as_ref().to_vec()
    }

    /// Tells whether somebody who has the key sealed this very revision.
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
