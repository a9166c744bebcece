//! Marks in inputs, in place of values that no mutation finds: checksums, lengths, sealed addresses,
//! and tokens.
//!
//! | mark | becomes |
//! |---|---|
//! | `@SIGN@` | the checksum of the request whose head was begun last, without its `checksum` |
//! | `@LENGTH@` | the number of bytes after the first empty line |
//! | `@CALLBACK@`, `@RECORDED@` | the sealed state of an end callback, of a recording-ready callback |
//! | `@HOOK@` | the sealed state of a webhook address |
//! | `@TOKEN@`, `@BEARER@` | the claims of a recording, and a bearer token, signed by a server |
//! | `@AUTH@` | the credentials of the telephone system |

use std::borrow::Cow;

use base64::{Engine, prelude::BASE64_STANDARD};
use usher_bbb::{
    checksum::{self, ChecksumAlgorithm},
    query::RawQuery,
    secret::Secret,
};
use usher_model::{
    callback::{CallbackKind, CallbackState, HookState, PATH, jwt},
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
};

use super::{
    fleet, plane,
    settings::{DIAL_IN_PASSWORD, PUBLIC_URL},
};

/// The last request of every input. The edge closes the connection after its answer.
const LAST: &[u8] = b"GET /bigbluebutton/api HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";

const SIGN: &str = "@SIGN@";
const LENGTH: &str = "@LENGTH@";

/// Returns whether a connection begins with a header of the PROXY protocol, of either version.
pub(super) fn begins_with_proxy_header(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PROXY ") || bytes.starts_with(b"\r\n\r\n\0\r\nQUIT\n")
}

/// Returns the bytes of an input as they are sent, with a last request that ends the connection.
pub(super) fn fill(input: &[u8]) -> Vec<u8> {
    let mut filled = match std::str::from_utf8(input) {
        Ok(text) if text.contains('@') => fill_text(text).into_bytes(),
        _ => input.to_vec(),
    };
    filled.extend_from_slice(LAST);
    filled
}

fn fill_text(text: &str) -> String {
    let mut text = Cow::Borrowed(text);
    for (mark, value) in VALUES {
        if text.contains(mark) {
            text = text.replace(mark, &value()).into();
        }
    }
    let mut signed = sign(&text);
    if signed.contains(LENGTH) {
        let body = signed.split_once("\r\n\r\n").map_or(0, |(_, body)| body.len());
        signed = signed.replace(LENGTH, &body.to_string());
    }
    signed
}

/// A mark, and the function that returns its value.
type ValueMark = (&'static str, fn() -> String);

/// The marks whose value does not depend on the input.
const VALUES: [ValueMark; 6] = [
    ("@CALLBACK@", || sealed(CallbackKind::EndedMeta, "meta_endcallbackurl")),
    ("@RECORDED@", || sealed(CallbackKind::RecordingReady, "meta_bbb-recording-ready-url")),
    ("@HOOK@", hook),
    ("@TOKEN@", token),
    ("@BEARER@", || jwt::bearer(4_000_000_000_000, &fleet::server_secret(0)).expect("signs")),
    ("@AUTH@", || BASE64_STANDARD.encode(format!("fsapi:{DIAL_IN_PASSWORD}"))),
];

/// Fills in checksums. A checksum in a head is that of its call and query, and one in a body is that
/// of the call and query of the head before it.
fn sign(text: &str) -> String {
    let (mut out, mut call, mut query) = (String::with_capacity(text.len() + 64), "", String::new());
    for line in text.split_inclusive('\n') {
        if let Some(target) = line.split(' ').nth(1).filter(|_| line.contains(" HTTP/1")) {
            let (path, given) = target.split_once('?').unwrap_or((target, ""));
            call = path.rsplit_once("/api/").map_or("", |(_, call)| call);
            let taken = RawQuery::new(given).take_checksum();
            query = taken.map_or_else(|_| given.to_owned(), |signed| signed.query.into_owned());
        }
        if line.contains(SIGN) {
            let secret = Secret::new(fleet::SECRET);
            out.push_str(
                &line.replace(SIGN, &checksum::sign(ChecksumAlgorithm::Sha256, call, &query, &secret)),
            );
        } else {
            out.push_str(line);
        }
    }
    out
}

fn sealed(kind: CallbackKind, parameter: &str) -> String {
    let meeting = MeetingId::parse(fleet::MEETINGS[0]).expect("is an id");
    let state = CallbackState {
        meeting: MeetingKey::new(TenantId::default_tenant(), meeting),
        server: fleet::server_id(0),
        kind,
        parameter: Some(parameter.to_owned()),
        url: Some("https://app.example.org/ended?a=1".to_owned()),
        expires_ms: i64::MAX / 2,
    };
    plane::key().seal(&state, [3; 12])
}

fn hook() -> String {
    let state = HookState { server: fleet::server_id(0), raw: false, base: PUBLIC_URL.to_owned() };
    let url = state.url(&plane::key());
    url.rsplit_once(PATH).map_or_else(String::new, |(_, sealed)| sealed.to_owned())
}

fn token() -> String {
    let claims = serde_json::json!({ "meeting_id": fleet::MEETINGS[0], "record_id": fleet::INTERNAL[0] });
    let claims = claims.as_object().expect("is an object");
    jwt::sign_claims(claims, &fleet::server_secret(0)).expect("signs")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_become_checksums_and_lengths() {
        let filled = fill(
            b"POST /bigbluebutton/api/create?a=1&checksum=@SIGN@ HTTP/1.1\r\ncontent-length: @LENGTH@\r\n\r\nabc",
        );
        let text = String::from_utf8(filled).unwrap();
        let sign = checksum::sign(ChecksumAlgorithm::Sha256, "create", "a=1", &Secret::new(fleet::SECRET));
        assert!(text.contains(&format!("a=1&checksum={sign} HTTP")), "{text}");
        assert!(text.contains("content-length: 3\r\n\r\nabcGET "), "{text}");
    }

    #[test]
    fn a_checksum_in_a_body_is_that_of_the_head() {
        let text = sign("POST /bigbluebutton/api/create HTTP/1.1\r\n\r\na=1&checksum=@SIGN@");
        let sign = checksum::sign(ChecksumAlgorithm::Sha256, "create", "", &Secret::new(fleet::SECRET));
        assert!(text.ends_with(&format!("checksum={sign}")), "{text}");
    }
}
