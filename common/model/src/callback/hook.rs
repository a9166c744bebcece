//! The addresses that a server gets for webhooks: one for mapped and one for raw events, as long as the server is
//! part of the fleet (ADR 13). Unlike a callback address they are constant, so that a server recognises a repeated
//! registration.

use aws_lc_rs::{aead::NONCE_LEN, digest};
use serde::Serialize;
use serde_json::Value;

use super::{CallbackKey, PATH};
use crate::id::ServerId;

/// The first character of the sealed state. Callback addresses begin with another one.
const VERSION: char = 'h';
/// The purpose that is authenticated with the state, so that it is not valid for another purpose.
const PURPOSE: &[u8] = b"usher webhook address 1";

/// The content of the sealed state of a webhook address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookState {
    /// Server that got the address.
    pub server: ServerId,
    /// Whether the server sends events in the form of its message bus (raw).
    pub raw: bool,
    /// Base URL by which servers reach the edges. A server signs its events with the whole address.
    pub base: String,
}

/// The sealed text. Its fields have this order in every program: the order of a JSON map would depend on
/// the features with which a program was built, and the address of the control plane would not be that of
/// the edge.
#[derive(Serialize)]
struct SealedHook<'a> {
    s: &'a str,
    r: bool,
    b: &'a str,
}

impl HookState {
    /// Returns the whole address for a server.
    #[expect(clippy::missing_panics_doc, reason = "strings and a truth value are always JSON")]
    pub fn url(&self, key: &CallbackKey) -> String {
        let sealed = SealedHook { s: self.server.as_str(), r: self.raw, b: &self.base };
        let text = serde_json::to_vec(&sealed).expect("strings and a truth value are JSON");
        // A constant nonce is safe here, because GCM-SIV tolerates a repeated nonce with the same text.
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&digest::digest(&digest::SHA256, &text).as_ref()[..NONCE_LEN]);
        let sealed = key.seal_text(VERSION, PURPOSE, text, nonce);
        format!("{}{PATH}{sealed}", self.base.trim_end_matches('/'))
    }

    /// Returns the content of the sealed state after [`PATH`] in an address.
    pub fn open(key: &CallbackKey, sealed: &str) -> Option<Self> {
        let text = key.open_text(VERSION, PURPOSE, sealed).ok()?;
        let value: Value = serde_json::from_slice(&text).ok()?;
        Some(Self {
            server: ServerId::parse(value["s"].as_str()?).ok()?,
            raw: value["r"].as_bool()?,
            base: value["b"].as_str()?.to_owned(),
        })
    }

    /// Tells whether the text after [`PATH`] has the form of a webhook address.
    pub fn is_named(sealed: &str) -> bool {
        sealed.starts_with(VERSION)
    }

    /// Tells whether an address is a webhook address of this fleet: it is below `base`, also if another key sealed
    /// it, or this key opens it.
    pub fn is_ours(key: &CallbackKey, base: &str, url: &str) -> bool {
        let Some((before, sealed)) = url.rsplit_once(PATH) else { return false };
        let below = before == base.trim_end_matches('/');
        Self::is_named(sealed) && (below || Self::open(key, sealed).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8) -> CallbackKey {
        CallbackKey::parse(&CallbackKey::encode([seed; 32])).expect("is a key")
    }

    fn state(server: &str, raw: bool) -> HookState {
        let server = ServerId::parse(server).expect("is an id");
        HookState { server, raw, base: "https://bbb.test/".into() }
    }

    #[test]
    fn an_address_is_always_the_same_and_opens_for_the_fleet_alone() {
        let url = state("bbb1", false).url(&key(1));
        assert_eq!(url, state("bbb1", false).url(&key(1)));
        assert_ne!(url, state("bbb1", true).url(&key(1)));
        assert_ne!(url, state("bbb2", false).url(&key(1)));
        let sealed = url.strip_prefix("https://bbb.test/usher/callback/").expect("is below the base");
        assert!(HookState::is_named(sealed));
        assert_eq!(HookState::open(&key(1), sealed), Some(state("bbb1", false)));
        assert_eq!(HookState::open(&key(2), sealed), None);
        assert!(key(1).open(sealed).is_err(), "it is no address for callbacks");
    }

    /// Control planes and edges that were built apart have to make the same address.
    #[test]
    fn the_sealed_text_has_a_fixed_order() {
        let url = state("bbb1", true).url(&key(1));
        let sealed = url.rsplit_once(PATH).expect("is below the path").1;
        let text = key(1).open_text(VERSION, PURPOSE, sealed).expect("opens");
        assert_eq!(String::from_utf8(text).unwrap(), r#"{"s":"bbb1","r":true,"b":"https://bbb.test/"}"#);
    }

    #[test]
    fn own_addresses_are_recognised_with_any_key() {
        let (old, url) = (state("bbb1", false).url(&key(2)), state("bbb1", false).url(&key(1)));
        for url in [&old, &url] {
            assert!(HookState::is_ours(&key(1), "https://bbb.test", url));
        }
        assert!(HookState::is_ours(&key(1), "https://new.test/", &url), "the public URL has changed");
        for url in [&old, "https://app.test/cb", "https://bbb.test/usher/callback/1abc", "nonsense"] {
            assert!(!HookState::is_ours(&key(1), "https://new.test/", url), "{url}");
        }
    }
}
