//! The state that an address of ours carries, sealed: nobody but the fleet can read or make one.
//!
//! `1` and base64url of nonce, ciphertext and tag (AES-256-GCM-SIV). Sealed and not only signed,
//! because the address of an application may be a capability, and participants see a meeting's
//! metadata.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use super::CallbackKind;
use crate::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    secret::Secret,
};

/// What every address begins with; another form of state would begin with another.
const VERSION: char = '1';
/// Keeps what is sealed here from meaning anything elsewhere.
const PURPOSE: &[u8] = b"usher callback address 1";
/// Length of a key, bytes.
const KEY_LEN: usize = 32;

/// What an address of ours carries.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackState {
    /// Whose meeting it is, and which.
    pub meeting: MeetingKey,
    /// The server that was given the address.
    pub server: ServerId,
    /// What the application asked for.
    pub kind: CallbackKind,
    /// Where the application wants it; none when only the fleet wants to know.
    pub url: Option<String>,
    /// Milliseconds since 1970 after which nobody takes it any more.
    pub expires_ms: i64,
}

impl fmt::Debug for CallbackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackState")
            .field("meeting", &self.meeting)
            .field("server", &self.server)
            .field("kind", &self.kind)
            .finish_non_exhaustive() // the URL may let somebody in
    }
}

/// An address that is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The key cannot be used.
    #[error("the callback key is malformed")]
    Key,
    /// Made by somebody else, or with another key, or changed on the way.
    #[error("the address was not made by this fleet")]
    Foreign,
}

/// Seals and opens states; the same on every edge.
pub struct CallbackKey(LessSafeKey);

impl fmt::Debug for CallbackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackKey(***)")
    }
}

impl CallbackKey {
    /// Returns a key as it is stored and sent, made of `random` bytes.
    pub fn encode(random: [u8; KEY_LEN]) -> Secret {
        Secret::new(&BASE64.encode(random))
    }

    /// Reads a key.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(secret: &Secret) -> Result<Self, AddressError> {
        let bytes = BASE64.decode(secret.expose()).map_err(|_| AddressError::Key)?;
        let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| AddressError::Key)?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals a state; `nonce` is random.
    pub fn seal(&self, state: &CallbackState, nonce: [u8; NONCE_LEN]) -> String {
        let value = json!({
            "t": state.meeting.tenant.as_str(),
            "m": state.meeting.meeting.as_str(),
            "s": state.server.as_str(),
            "k": state.kind.name(),
            "u": state.url,
            "x": state.expires_ms,
        });
        self.seal_text(VERSION, PURPOSE, value.to_string().into_bytes(), nonce)
    }

    /// Seals a text under a letter and a purpose of its own.
    pub(super) fn seal_text(
        &self,
        version: char,
        purpose: &[u8],
        mut text: Vec<u8>,
        nonce: [u8; NONCE_LEN],
    ) -> String {
        let sealed = self.0.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose),
            &mut text,
        );
        // Only a message of many gigabytes is refused; an empty state opens for nobody.
        if sealed.is_err() {
            text.clear();
        }
        let mut out = String::with_capacity(1 + (NONCE_LEN + text.len()).div_ceil(3) * 4);
        out.push(version);
        BASE64.encode_string([&nonce[..], &text].concat(), &mut out);
        out
    }

    /// Opens a state. Whether it has expired is the caller's question.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn open(&self, sealed: &str) -> Result<CallbackState, AddressError> {
        let text = self.open_text(VERSION, PURPOSE, sealed)?;
        read(&text).ok_or(AddressError::Foreign)
    }

    /// Opens a text that was sealed under this letter and purpose.
    pub(super) fn open_text(
        &self,
        version: char,
        purpose: &[u8],
        sealed: &str,
    ) -> Result<Vec<u8>, AddressError> {
        let foreign = AddressError::Foreign;
        let bytes = BASE64.decode(sealed.strip_prefix(version).ok_or(foreign)?).map_err(|_| foreign)?;
        let (nonce, text) = bytes.split_first_chunk::<NONCE_LEN>().ok_or(foreign)?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let text = self.0.open_in_place(nonce, Aad::from(purpose), &mut text).map_err(|_| foreign)?;
        Ok(text.to_vec())
    }
}

fn read(text: &[u8]) -> Option<CallbackState> {
    let value: Value = serde_json::from_slice(text).ok()?;
    let text = |field: &str| value[field].as_str();
    Some(CallbackState {
        meeting: MeetingKey::new(TenantId::parse(text("t")?).ok()?, MeetingId::parse(text("m")?).ok()?),
        server: ServerId::parse(text("s")?).ok()?,
        kind: CallbackKind::parse(text("k")?)?,
        url: text("u").map(str::to_owned),
        expires_ms: value["x"].as_i64()?,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(seed: u8) -> CallbackKey {
        CallbackKey::parse(&CallbackKey::encode([seed; KEY_LEN])).expect("is a key")
    }

    fn state(meeting: &str, url: Option<String>) -> CallbackState {
        CallbackState {
            meeting: MeetingKey::new(
                TenantId::default_tenant(),
                MeetingId::parse(meeting).expect("is an id"),
            ),
            server: ServerId::parse("bbb1").expect("is an id"),
            kind: CallbackKind::EndedMeta,
            url,
            expires_ms: 1_700_000_000_000,
        }
    }

    proptest! {
        #[test]
        fn what_was_sealed_opens_and_nothing_else_does(
            meeting in "[^\u{0}-\u{1f}]{2,40}", url in prop::option::of(".{0,200}"),
            nonce in any::<[u8; NONCE_LEN]>(), at in any::<prop::sample::Index>(), bit in 0..6_u8,
        ) {
            prop_assume!(MeetingId::parse(&meeting).is_ok());
            let state = state(&meeting, url);
            let sealed = key(1).seal(&state, nonce);
            prop_assert!(sealed.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
            prop_assert_eq!(key(1).open(&sealed), Ok(state));
            prop_assert_eq!(key(2).open(&sealed), Err(AddressError::Foreign));
            let mut changed = sealed.clone().into_bytes();
            let at = at.index(changed.len());
            changed[at] = b"ABCDEF"[usize::from(bit)];
            let changed = String::from_utf8(changed).expect("is ASCII");
            if changed != sealed {
                prop_assert_eq!(key(1).open(&changed), Err(AddressError::Foreign));
            }
        }

        #[test]
        fn any_text_is_refused_and_not_a_panic(text in ".{0,100}") {
            prop_assert!(key(1).open(&text).is_err());
        }
    }

    #[test]
    fn i14_neither_key_nor_state_prints_what_it_holds() {
        let state = state("room", Some("https://app.test/cb?token=abc".into()));
        let text = format!("{state:?} {:?} {:?}", key(1), CallbackKey::encode([7; KEY_LEN]));
        assert!(!text.contains("token") && !text.contains("Bwc"), "{text}");
        assert!(CallbackKey::parse(&Secret::new("short")).is_err());
    }
}
