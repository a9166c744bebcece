use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use usher_common::{
    bbb::query::encode,
    callback::jwt,
    id::{MeetingId, TenantId},
    secret::Secret,
};

use super::*;

const TENANT: &str = "school";

fn key() -> CallbackKey {
    CallbackKey::parse(&CallbackKey::encode([9; 32])).expect("is a key")
}

fn addresses() -> Addresses {
    Addresses::new("https://bbb.example.org/")
}

fn meeting() -> MeetingKey {
    let id = MeetingId::parse("room-42").expect("is an id");
    MeetingKey::new(TenantId::parse(TENANT).expect("is an id"), id)
}

fn rewritten(parameters: &str) -> String {
    let (meeting, server) = (meeting(), ServerId::parse("bbb1").expect("is an id"));
    let given = Given { meeting: &meeting, server: &server, expires_ms: 77 };
    let mut nonces = 0_u8;
    addresses().rewrite(&key(), parameters, given, || {
        nonces += 1;
        [nonces; 12]
    })
}

/// What the address that a parameter has now carries.
fn opened(parameters: &str, name: &str) -> CallbackState {
    let address = RawQuery::new(parameters).first(name).unwrap_or_else(|| panic!("no {name}: {parameters}"));
    let path = address.strip_prefix("https://bbb.example.org").expect("is ours");
    key().open(sealed(path).expect("is ours")).expect("opens")
}

#[test]
fn every_address_is_replaced_and_the_fleet_hears_of_every_end() {
    let sent = rewritten(
        "name=a+b&meta_endCallbackUrl=https%3A%2F%2Fapp.test%2Fend%3Ft%3D1&meetingID=room-42\
         &meta_bn-recording-ready-url=https%3A%2F%2Fapp.test%2Frec&meta_analytics-callback-url=https%3A%2F%2Fapp.test%2Fan\
         &meta_x-callback-url=nonsense&welcome=",
    );
    for (name, kind, url) in [
        ("meetingEndedURL", CallbackKind::Ended, None),
        ("meta_endCallbackUrl", CallbackKind::EndedMeta, Some("https://app.test/end?t=1")),
        ("meta_bn-recording-ready-url", CallbackKind::RecordingReady, Some("https://app.test/rec")),
        ("meta_analytics-callback-url", CallbackKind::Analytics, Some("https://app.test/an")),
    ] {
        let state = opened(&sent, name);
        assert_eq!((state.kind, state.url.as_deref(), state.expires_ms), (kind, url, 77), "{name}");
        assert_eq!((state.meeting, state.server.as_str()), (meeting(), "bbb1"));
    }
    assert!(sent.starts_with("name=a+b&meta_endCallbackUrl=https%3A%2F%2Fbbb.example.org%2Fusher"), "{sent}");
    assert!(sent.contains("&meta_x-callback-url=nonsense&welcome=&meetingEndedURL="), "{sent}");
    let own = rewritten("meetingEndedURL=http%3A%2F%2Fapp.test%2Fe&meetingID=room-42");
    assert_eq!(opened(&own, "meetingEndedURL").url.as_deref(), Some("http://app.test/e"));
    assert_eq!(RawQuery::new(&own).count("meetingEndedURL"), 1);
}

#[test]
fn an_application_sees_its_own_addresses_in_every_answer() {
    let url = "https://app.test/end?a=1&b=<2>";
    let sent = rewritten(&format!("meta_endCallbackUrl={}", encode(url)));
    let address = RawQuery::new(&sent).first("meta_endCallbackUrl").expect("is there").into_owned();
    let xml = format!("<m><endcallbackurl>{address}</endcallbackurl><x>{address}</x></m>");
    let restored = addresses().restore(|sealed| key().open(sealed).ok(), &xml).into_owned();
    let escaped = "https://app.test/end?a=1&amp;b=&lt;2&gt;";
    assert_eq!(restored, format!("<m><endcallbackurl>{escaped}</endcallbackurl><x>{escaped}</x></m>"));
    for other in ["<m/>", "<m>https://bbb.example.org/usher/callback/1abc</m>", ""] {
        assert_eq!(addresses().restore(|sealed| key().open(sealed).ok(), other), other);
    }
}

fn state(kind: CallbackKind) -> CallbackState {
    CallbackState {
        meeting: meeting(),
        server: ServerId::parse("bbb1").expect("is an id"),
        kind,
        url: Some("https://app.test/cb?t=1".into()),
        expires_ms: 77,
    }
}

fn got<'r>(method: &'r Method, query: &'r str, bearer: Option<&'r str>, body: &'r [u8]) -> Incoming<'r> {
    Incoming { method, query, bearer, body }
}

#[test]
fn an_end_callback_is_passed_on_with_the_id_that_the_application_knows() {
    let query = "recordingmarks=false&meetingID=school~room-42";
    let end = receive(&state(CallbackKind::EndedMeta), got(&Method::GET, query, None, b""), [], 0);
    let expected = "https://app.test/cb?t=1&recordingmarks=false&meetingID=room-42";
    assert_eq!(end.expect("is taken").url, expected);
    let exact = receive(&state(CallbackKind::Ended), got(&Method::GET, query, None, b""), [], 0);
    assert_eq!(exact.expect("is taken").url, "https://app.test/cb?t=1");
    let posted = receive(&state(CallbackKind::EndedMeta), got(&Method::POST, "", None, b""), [], 0);
    assert_eq!(posted, Err(Rejected::Method));
}

#[test]
fn what_is_signed_must_be_signed_by_a_server_and_loses_that_signature() {
    let (server, tenant) = (Secret::new("server"), Secret::new("tenant"));
    let claims = json!({ "meeting_id": "school~room-42", "record_id": "r-1" });
    let token = jwt::sign_claims(claims.as_object().expect("is one"), &server).expect("signs");
    let body = format!("signed_parameters={token}");
    let ready = state(CallbackKind::RecordingReady);
    let post = got(&Method::POST, "", None, body.as_bytes());
    let received = receive(&ready, post, [&tenant, &server], 0).expect("is taken");
    assert_eq!(received.form, Form::SignedForm);
    let value: Value = serde_json::from_slice(&received.body).expect("is JSON");
    assert_eq!(value, json!({ "meeting_id": "room-42", "record_id": "r-1" }));
    assert_eq!(receive(&ready, post, [&tenant], 0), Err(Rejected::Signature));
    assert_eq!(receive(&ready, got(&Method::POST, "", None, b"x=1"), [&server], 0), Err(Rejected::Signature));
    assert_eq!(receive(&ready, got(&Method::GET, "", None, b""), [&server], 0), Err(Rejected::Method));

    let bearer = jwt::bearer(0, &server).expect("signs");
    let analytics = state(CallbackKind::Analytics);
    let json = br#"{"version":"1.0", "meeting_id":"room-7"}"#;
    let post = got(&Method::POST, "", Some(&bearer), json);
    let received = receive(&analytics, post, [&server], 0).expect("is taken");
    assert_eq!((received.form, received.body.as_slice()), (Form::BearerJson, &json[..]), "byte for byte");
    assert_eq!(receive(&analytics, post, [&server], 2 * 86_400_000), Err(Rejected::Signature), "has run out");
    assert_eq!(receive(&analytics, post, [&tenant], 0), Err(Rejected::Signature));
    let broken = got(&Method::POST, "", Some(&bearer), b"[1]");
    assert_eq!(receive(&analytics, broken, [&server], 0), Err(Rejected::Malformed));
}

proptest! {
    /// Whatever an address is, the server never sees it, and the application gets it back.
    #[test]
    fn any_address_comes_back_as_it_was(path in "[ -~]{0,60}") {
        let url = format!("https://app.test/{path}");
        let sent = rewritten(&format!("meta_endCallbackUrl={}&x=1", encode(&url)));
        prop_assert!(!sent.contains("app.test"));
        prop_assert_eq!(opened(&sent, "meta_endCallbackUrl").url, Some(url));
        prop_assert!(sent.contains("&x=1&"));
    }
}
