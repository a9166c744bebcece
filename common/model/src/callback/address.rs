//! The sealed state in a callback address: only the edges of this fleet can read or make it (ADR 10, ADR 16).
//!
//! The form is `1` and base64url of nonce, ciphertext and tag (AES-256-GCM-SIV). The state is encrypted and not
//! only signed, because the address of an application may be a capability and participants see the metadata of
//! a meeting. The state also names the tenant and the parameter of the create: a tenant that puts the address of
//! another tenant, or of another parameter, into its own requests cannot read it.

use std::fmt;

use aws_lc_rs::{
    aead::{AES_256_GCM_SIV, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    digest,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use serde_json::{Value, json};

use super::CallbackKind;
use crate::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};
use usher_bbb::{hex, query::compared_name, secret::Secret};

/// The first character of every sealed state. Another form of state would begin with another character.
const VERSION: char = '1';
/// The purpose that is authenticated with the state, so that it is not valid for another purpose.
const PURPOSE: &[u8] = b"usher callback address 1";
/// The text from which the mark is derived, with the key.
const MARK: &[u8] = b"usher delivery mark 1";
/// The length of a mark, bytes.
const MARK_LEN: usize = 8;
/// The length of a key, bytes.
const KEY_LEN: usize = 32;

/// The content of the sealed state of a callback address.
#[derive(Clone, PartialEq, Eq)]
pub struct CallbackState {
    /// Tenant and id of the meeting.
    pub meeting: MeetingKey,
    /// Server that got the address.
    pub server: ServerId,
    /// Kind of the callback.
    pub kind: CallbackKind,
    /// Parameter of the create with the address, in the form of [`compared_name`]; `None` in addresses of older
    /// versions.
    pub parameter: Option<String>,
    /// URL of the application; `None` if only Usher uses the callback.
    pub url: Option<String>,
    /// Time after which edges refuse the address, milliseconds since 1970.
    pub expires_ms: i64,
}

impl fmt::Debug for CallbackState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallbackState")
            .field("meeting", &self.meeting)
            .field("server", &self.server)
            .field("kind", &self.kind)
            .finish_non_exhaustive() // the URL may contain a secret
    }
}

impl CallbackState {
    /// Tells whether `tenant` sees its own address in place of this one as the value of `parameter`. An address of
    /// an older version names no parameter, so the kind of the callback is compared instead.
    pub fn is_for(&self, tenant: &TenantId, parameter: &str) -> bool {
        let stands = match &self.parameter {
            Some(own) => *own == compared_name(parameter.into()),
            None => CallbackKind::of_parameter(parameter) == Some(self.kind),
        };
        stands && self.meeting.tenant == *tenant
    }
}

/// The reason why an address is no callback address of this fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The key has a wrong form.
    #[error("the callback key is malformed")]
    Key,
    /// The state was made with another key, or was changed.
    #[error("the address was not made by this fleet")]
    Foreign,
}

/// The key that seals and opens states. All edges of a fleet have the same key.
pub struct CallbackKey {
    key: LessSafeKey,
    mark: String,
}

impl fmt::Debug for CallbackKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CallbackKey(***)")
    }
}

impl CallbackKey {
    /// Returns the text form of a key made of `random` bytes, as it is stored and sent.
    pub fn encode(random: [u8; KEY_LEN]) -> Secret {
        Secret::new(&BASE64.encode(random))
    }

    /// Reads the text form of a key.
    ///
    /// # Errors
    /// The text has not the form of a key.
    pub fn parse(secret: &Secret) -> Result<Self, AddressError> {
        let bytes = BASE64.decode(secret.expose()).map_err(|_| AddressError::Key)?;
        let key = UnboundKey::new(&AES_256_GCM_SIV, &bytes).map_err(|_| AddressError::Key)?;
        let mut mark = String::new();
        let digest = digest::digest(&digest::SHA256, &[MARK, &bytes].concat());
        hex::push_lower(&mut mark, &digest.as_ref()[..MARK_LEN]);
        Ok(Self { key: LessSafeKey::new(key), mark })
    }

    /// Returns the mark of this fleet, which every delivery has in a header. An edge recognises a delivery of its
    /// own fleet by it, also through another host name or a redirect. The mark does not reveal the key.
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// Returns the sealed form of a state; `nonce` must be random.
    pub fn seal(&self, state: &CallbackState, nonce: [u8; NONCE_LEN]) -> String {
        let value = json!({
            "t": state.meeting.tenant.as_str(),
            "m": state.meeting.meeting.as_str(),
            "s": state.server.as_str(),
            "k": state.kind.name(),
            "p": state.parameter,
            "u": state.url,
            "x": state.expires_ms,
        });
        self.seal_text(VERSION, PURPOSE, value.to_string().into_bytes(), nonce)
    }

    /// Returns the sealed form of a text, with a first letter and an authenticated purpose.
    pub(super) fn seal_text(
        &self,
        version: char,
        purpose: &[u8],
        mut text: Vec<u8>,
        nonce: [u8; NONCE_LEN],
    ) -> String {
        let sealed = self.key.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            Aad::from(purpose),
            &mut text,
        );
        // The cipher refuses only messages of many gigabytes; an empty state cannot be opened by any key.
        if sealed.is_err() {
            text.clear();
        }
        let mut out = String::with_capacity(1 + (NONCE_LEN + text.len()).div_ceil(3) * 4);
        out.push(version);
        BASE64.encode_string([&nonce[..], &text].concat(), &mut out);
        out
    }

    /// Returns the content of a sealed state. The caller checks whether it has expired.
    ///
    /// # Errors
    /// The state was not sealed with this key.
    pub fn open(&self, sealed: &str) -> Result<CallbackState, AddressError> {
        let text = self.open_text(VERSION, PURPOSE, sealed)?;
        read(&text).ok_or(AddressError::Foreign)
    }

    /// Returns a text that was sealed with this letter and purpose.
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
        let text = self.key.open_in_place(nonce, Aad::from(purpose), &mut text).map_err(|_| foreign)?;
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
        parameter: text("p").map(str::to_owned),
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
            parameter: Some("meta_endcallbackurl".into()),
            url,
            expires_ms: 1_700_000_000_000,
        }
    }

    proptest! {
        #[test]
        fn only_a_sealed_state_opens(
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

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).expect("is an id")
    }

    #[test]
    fn an_address_is_only_for_the_tenant_and_the_parameter_in_its_seal() {
        let sealed = key(1).seal(&state("room", Some("https://app.test/".into())), [1; NONCE_LEN]);
        let opened = key(1).open(&sealed).expect("opens");
        assert!(opened.is_for(&tenant("default"), "meta_endCallbackUrl"));
        assert!(opened.is_for(&tenant("default"), "meta_endcallbackurl"));
        assert!(!opened.is_for(&tenant("other"), "meta_endcallbackurl"));
        for parameter in ["meta_x", "endcallbackurl", "meetingEndedURL", "meta_x-callback-url", ""] {
            assert!(!opened.is_for(&tenant("default"), parameter), "{parameter}");
        }
    }

    #[test]
    fn an_address_of_an_older_version_still_opens_and_is_for_parameters_of_its_kind() {
        // The form of versions that did not seal the parameter.
        let text = r#"{"t":"default","m":"room","s":"bbb1","k":"ended_meta","u":"https://app.test/","x":5}"#;
        let sealed = key(1).seal_text(VERSION, PURPOSE, text.into(), [1; NONCE_LEN]);
        let opened = key(1).open(&sealed).expect("opens");
        assert_eq!((opened.url.as_deref(), opened.expires_ms), (Some("https://app.test/"), 5));
        assert!(opened.is_for(&tenant("default"), "meta_EndCallbackUrl"));
        assert!(!opened.is_for(&tenant("other"), "meta_endcallbackurl"));
        assert!(
            !opened.is_for(&tenant("default"), "meta_x")
                && !opened.is_for(&tenant("default"), "meta_a-callback-url")
        );
    }

    #[test]
    fn a_mark_is_the_keys_own_and_always_the_same() {
        assert_eq!(key(1).mark(), key(1).mark());
        assert_ne!(key(1).mark(), key(2).mark());
        assert_eq!(key(1).mark().len(), 2 * MARK_LEN);
    }

    #[test]
    fn i14_neither_key_nor_state_prints_its_content() {
        let state = state("room", Some("https://app.test/cb?token=abc".into()));
        let text = format!("{state:?} {:?} {:?}", key(1), CallbackKey::encode([7; KEY_LEN]));
        assert!(!text.contains("token") && !text.contains("Bwc"), "{text}");
        assert!(CallbackKey::parse(&Secret::new("short")).is_err());
    }
}
