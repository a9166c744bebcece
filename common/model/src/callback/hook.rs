//! The address that servers are given for webhooks: one for mapped events and one for raw ones, for as
//! long as the server is part of the fleet (ADR 13). Unlike that of a callback it is always the same, so
//! that a server takes a second registration for the first.

use aws_lc_rs::{aead::NONCE_LEN, digest};
use serde_json::{Value, json};

use super::{CallbackKey, PATH};
use crate::id::ServerId;

/// What every one begins with; those of callbacks begin with another.
const VERSION: char = 'h';
/// Keeps what is sealed here from meaning anything elsewhere.
const PURPOSE: &[u8] = b"usher webhook address 1";

/// What the address carries.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HookState {
    /// The server that was given it.
    pub server: ServerId,
    /// Whether events come as they are on the server's bus.
    pub raw: bool,
    /// By which URL servers reach the edges; part of what a server signs.
    pub base: String,
}

impl HookState {
    /// Returns the whole address.
    pub fn url(&self, key: &CallbackKey) -> String {
        let value = json!({ "s": self.server.as_str(), "r": self.raw, "b": self.base });
        let text = value.to_string().into_bytes();
        // GCM-SIV loses nothing by a nonce that comes again with the same text.
        let mut nonce = [0; NONCE_LEN];
        nonce.copy_from_slice(&digest::digest(&digest::SHA256, &text).as_ref()[..NONCE_LEN]);
        let sealed = key.seal_text(VERSION, PURPOSE, text, nonce);
        format!("{}{PATH}{sealed}", self.base.trim_end_matches('/'))
    }

    /// Opens what stands behind [`PATH`] in an address.
    pub fn open(key: &CallbackKey, sealed: &str) -> Option<Self> {
        let text = key.open_text(VERSION, PURPOSE, sealed).ok()?;
        let value: Value = serde_json::from_slice(&text).ok()?;
        Some(Self {
            server: ServerId::parse(value["s"].as_str()?).ok()?,
            raw: value["r"].as_bool()?,
            base: value["b"].as_str()?.to_owned(),
        })
    }

    /// Tells whether what stands behind [`PATH`] is said to be one of these.
    pub fn is_named(sealed: &str) -> bool {
        sealed.starts_with(VERSION)
    }

    /// Tells whether an address is one of ours for webhooks, also one that another key sealed: it is
    /// below `base`, or opens.
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

    #[test]
    fn ours_are_told_from_others_whatever_sealed_them() {
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
