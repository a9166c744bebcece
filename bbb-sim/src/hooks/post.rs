//! The request to a hook, byte for byte, and its signature (wire-contract 6).

use std::fmt::Write as _;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::Full;
use usher_bbb::{checksum::sign, query::encode, secret::Secret};

use super::SimHook;
use crate::options::{HookOptions, HooksVersion};

/// A request to a hook, the same at every attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedPost {
    /// The address, checksum included.
    pub(super) url: String,
    pub(super) body: String,
    /// The header that replaces the checksum if the application is set to bearer tokens.
    authorization: Option<String>,
}

/// The settings of the server that sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct EventSigner<'s> {
    pub(super) version: HooksVersion,
    pub(super) options: &'s HookOptions,
    pub(super) domain: &'s str,
    pub(super) secret: &'s Secret,
}

impl EventSigner<'_> {
    /// Returns the request that carries `event`, a JSON object, to `hook`.
    pub(super) fn post(&self, hook: &SimHook, event: &str, timestamp_ms: u64) -> SignedPost {
        let (domain, event) = (self.domain, format!("[{event}]"));
        let (body, signed, algorithm) = match self.version {
            HooksVersion::V3 => {
                let body = format!(
                    "domain={}&event={}&timestamp={timestamp_ms}",
                    form_encoded(domain),
                    form_encoded(&event)
                );
                (body.clone(), body, self.options.signs_with)
            }
            HooksVersion::V2 => {
                let body =
                    format!("event={}&timestamp={timestamp_ms}&domain={}", encode(&event), encode(domain));
                let text = |text: &str| serde_json::Value::from(text).to_string();
                let json = format!(
                    r#"{{"event":{},"timestamp":{timestamp_ms},"domain":{}}}"#,
                    text(&event),
                    text(domain)
                );
                (body, json, usher_bbb::checksum::ChecksumAlgorithm::Sha1)
            }
        };
        let mut url = hook.callback_url.clone();
        if self.options.bearer {
            let authorization = Some(format!("Bearer {}", self.secret.expose()));
            return SignedPost { url, body, authorization };
        }
        let checksum = sign(algorithm, &hook.callback_url, &signed, self.secret);
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str("checksum=");
        url.push_str(&checksum);
        SignedPost { url, body, authorization: None }
    }
}

impl SignedPost {
    /// Returns the request to `url`: a POST with the body, or a GET without it after some
    /// redirects.
    pub(super) fn request(&self, url: &str, as_get: bool) -> Option<Request<Full<Bytes>>> {
        let mut request = Request::builder().method(if as_get { "GET" } else { "POST" }).uri(url);
        if let Some(authorization) = &self.authorization {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        if as_get {
            return request.body(Full::default()).ok();
        }
        request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded;charset=UTF-8");
        request.body(Full::from(self.body.clone())).ok()
    }
}

/// Encodes as `URLSearchParams` does: `A-Z a-z 0-9 * - . _` stay, a space becomes `+`, all other
/// bytes `%XX`.
fn form_encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'*' | b'-' | b'.' | b'_' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            // Writing to a string cannot fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use usher_bbb::checksum::ChecksumAlgorithm;

    use super::*;

    const SECRET: &str = "lb-Secret.0123456789ABCDEFabcdef";
    const EVENT: &str = r#"{"data":{"type":"event","id":"meeting-ended","attributes":{"meeting":{"internal-meeting-id":"0a1b","external-meeting-id":"room-42"}},"event":{"ts":1700000000000}}}"#;

    fn post(version: HooksVersion, options: &HookOptions, url: &str) -> SignedPost {
        let hook = SimHook {
            id: "1".into(),
            callback_url: url.into(),
            meeting_id: None,
            event_ids: None,
            permanent: false,
            raw: false,
        };
        let secret = Secret::new(SECRET);
        let sender = EventSigner { version, options, domain: "bbb1.example.org", secret: &secret };
        sender.post(&hook, EVENT, 1_700_000_000_123)
    }

    /// Compares with the test vector of wire-contract 6.
    #[test]
    fn version_3_signs_the_body() {
        let post = post(HooksVersion::V3, &HookOptions::default(), "https://app.example.org/hook?x=1");
        let body = "domain=bbb1.example.org&event=%5B%7B%22data%22%3A%7B%22type%22%3A%22event%22%2C%22id%22%3A%22meeting-ended%22%2C%22attributes%22%3A%7B%22meeting%22%3A%7B%22internal-meeting-id%22%3A%220a1b%22%2C%22external-meeting-id%22%3A%22room-42%22%7D%7D%2C%22event%22%3A%7B%22ts%22%3A1700000000000%7D%7D%7D%5D&timestamp=1700000000123";
        assert_eq!(post.body, body);
        let checksum = "b6d706b257037a0cfa40d8adf2b2a6d091b7ddf4";
        assert_eq!(post.url, format!("https://app.example.org/hook?x=1&checksum={checksum}"));
        assert_eq!(post.authorization, None);
    }

    #[test]
    fn version_2_signs_json() {
        let post = post(HooksVersion::V2, &HookOptions::default(), "https://app.example.org/hook");
        assert!(post.body.starts_with("event=%5B%7B%22data%22"), "{}", post.body);
        assert!(post.body.ends_with("&timestamp=1700000000123&domain=bbb1.example.org"), "{}", post.body);
        let json = format!(
            r#"{{"event":"[{}]","timestamp":1700000000123,"domain":"bbb1.example.org"}}"#,
            EVENT.replace('"', "\\\"")
        );
        let checksum =
            sign(ChecksumAlgorithm::Sha1, "https://app.example.org/hook", &json, &Secret::new(SECRET));
        assert_eq!(post.url, format!("https://app.example.org/hook?checksum={checksum}"));
    }

    #[test]
    fn another_hash_or_a_bearer_token_is_a_matter_of_configuration() {
        let options = HookOptions { signs_with: ChecksumAlgorithm::Sha512, ..HookOptions::default() };
        let signed = post(HooksVersion::V3, &options, "https://app.example.org/hook");
        assert_eq!(signed.url.split_once("checksum=").map(|(_, hash)| hash.len()), Some(128));
        let options = HookOptions { bearer: true, ..HookOptions::default() };
        let borne = post(HooksVersion::V3, &options, "https://app.example.org/hook");
        assert_eq!(borne.url, "https://app.example.org/hook");
        let request = borne.request(&borne.url, false).unwrap();
        assert_eq!(request.headers()[header::AUTHORIZATION], format!("Bearer {SECRET}"));
    }

    #[test]
    fn forms_are_encoded_as_node_does_it() {
        assert_eq!(form_encoded("a b~(*)-._é"), "a+b%7E%28*%29-._%C3%A9");
    }
}
