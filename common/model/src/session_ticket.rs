//! The keys of TLS session tickets (ADR 29). All edges of a fleet derive the same keys from the secret
//! that the control planes hand them, so that a client resumes its session at any edge. The keys change
//! with time: a ticket is sealed with the key of its period, and opened in the periods beside it too,
//! because it may be used later, and because clocks differ.

use std::{fmt, time::Duration};

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    error::Unspecified,
    hkdf::{HKDF_SHA256, Prk, Salt},
};

use usher_bbb::secret::Secret;

/// The length of a period. A ticket can be opened for at least this time.
pub const TICKET_PERIOD: Duration = Duration::from_hours(8);

/// The purpose from which the secret is derived. It stands for the conditions under which a session may
/// be resumed: no client has a certificate. If that changes, so must this text, and no session from
/// before is resumed.
const PURPOSE: &[u8] = b"usher tls session ticket 1, no client certificates";
/// The first byte of every ticket. Another form would begin with another byte.
const VERSION: u8 = 1;
/// Version and number of the period.
const HEAD_LEN: usize = 2;

/// The secret from which the keys of all periods are derived.
pub struct TicketSecret(Prk);

impl fmt::Debug for TicketSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketSecret(***)")
    }
}

impl TicketSecret {
    /// Derives the secret from another one, which it does not reveal.
    pub fn derive(from: &Secret) -> Self {
        Self::extract(from.expose().as_bytes())
    }

    /// Returns the secret of an edge that knows none of the fleet, made of `random` bytes.
    pub fn of_random(random: [u8; 32]) -> Self {
        Self::extract(&random)
    }

    fn extract(material: &[u8]) -> Self {
        Self(Salt::new(HKDF_SHA256, PURPOSE).extract(material))
    }

    /// Returns the keys with which tickets are sealed and opened at a time in milliseconds since 1970.
    ///
    /// # Errors
    /// The cryptographic library refuses to derive a key.
    pub fn keys(&self, now_ms: i64) -> Result<TicketKeys, Unspecified> {
        let period = period(now_ms);
        let derive = |period: i64| -> Result<LessSafeKey, Unspecified> {
            let number = period.to_be_bytes();
            let info = [&number[..]];
            let key = UnboundKey::from(self.0.expand(&info, &AES_256_GCM_SIV)?);
            Ok(LessSafeKey::new(key))
        };
        let keys = [derive(period.saturating_sub(1))?, derive(period)?, derive(period.saturating_add(1))?];
        Ok(TicketKeys { period, keys })
    }
}

/// The keys of one period and of those beside it.
pub struct TicketKeys {
    period: i64,
    /// Of the period before, of this one, and of the next one.
    keys: [LessSafeKey; 3],
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketKeys").field("period", &self.period).finish_non_exhaustive()
    }
}

impl TicketKeys {
    /// Returns whether these are the keys for a time in milliseconds since 1970.
    pub fn are_for(&self, now_ms: i64) -> bool {
        self.period == period(now_ms)
    }

    /// Returns a ticket with the state of a session; `nonce` must be random. `None` if the cryptographic
    /// library refuses.
    pub fn seal(&self, session: &[u8], nonce: [u8; NONCE_LEN]) -> Option<Vec<u8>> {
        let mut sealed = session.to_vec();
        let tag = self.keys[1].seal_in_place_separate_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::empty(),
            &mut sealed,
        );
        Some([&[VERSION, low(self.period)], &nonce[..], &sealed, tag.ok()?.as_ref()].concat())
    }

    /// Returns the state of a session; `None` if the ticket is too old, was made by another fleet, or was
    /// changed.
    pub fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (head, rest) = ticket.split_at_checked(HEAD_LEN)?;
        let (nonce, sealed) = rest.split_at_checked(NONCE_LEN)?;
        let [VERSION, period] = *head else { return None };
        let index = period.wrapping_sub(low(self.period)).wrapping_add(1);
        let key = self.keys.get(usize::from(index))?;
        let mut sealed = sealed.to_vec();
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let length = key.open_in_place(nonce, Aad::empty(), &mut sealed).ok()?.len();
        sealed.truncate(length);
        Some(sealed)
    }
}

fn period(now_ms: i64) -> i64 {
    now_ms.div_euclid(i64::try_from(TICKET_PERIOD.as_millis()).unwrap_or(i64::MAX))
}

/// Returns the part of a period's number that a ticket names. The periods that are accepted differ in it.
fn low(period: i64) -> u8 {
    (period & 0xff) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn keys(secret: &str, now_ms: i64) -> TicketKeys {
        TicketSecret::derive(&Secret::new(secret)).keys(now_ms).expect("are derived")
    }

    #[test]
    fn a_ticket_is_opened_for_a_whole_period_and_then_no_more() {
        let period = i64::try_from(TICKET_PERIOD.as_millis()).expect("is short");
        for made in [0, 1, period - 1, 255 * period, 256 * period + 7] {
            let ticket = keys("a", made).seal(b"session", [7; NONCE_LEN]).expect("is sealed");
            for later in [-period, 0, period - 1, period] {
                let opened = keys("a", made + later).open(&ticket);
                assert_eq!(opened.as_deref(), Some(&b"session"[..]), "{made} {later}");
            }
            assert_eq!(keys("a", made + 2 * period).open(&ticket), None);
            assert_eq!(keys("a", made + 256 * period).open(&ticket), None, "a period of the same low byte");
        }
    }

    #[test]
    fn the_keys_of_another_fleet_open_no_ticket_and_no_secret_is_shown() {
        let ticket = keys("a", 0).seal(b"session", [7; NONCE_LEN]).expect("is sealed");
        assert_eq!(keys("b", 0).open(&ticket), None);
        assert!(!ticket.windows(7).any(|part| part == b"session"));
        assert_eq!(format!("{:?}", TicketSecret::derive(&Secret::new("a"))), "TicketSecret(***)");
        assert_eq!(format!("{:?}", keys("a", 0)), "TicketKeys { period: 0, .. }");
    }

    proptest! {
        #[test]
        fn any_bytes_are_opened_or_refused(bytes: Vec<u8>, now_ms: i64, flip in 0_usize..40, bit in 0_u32..8) {
            let keys = keys("a", now_ms);
            prop_assert_eq!(keys.open(&bytes), None);
            let mut ticket = keys.seal(&bytes, [7; NONCE_LEN]).expect("is sealed");
            prop_assert_eq!(keys.open(&ticket), Some(bytes));
            if let Some(byte) = ticket.get_mut(flip) {
                *byte ^= 1 << bit;
                prop_assert_eq!(keys.open(&ticket), None);
            }
        }
    }
}
