use http::Method;
use proptest::prelude::*;
use serde_json::{Value, json};
use usher_bbb::{
    query::{ParameterList, RawQuery, encode},
    secret::Secret,
};
use usher_model::{
    callback::jwt,
    id::{MeetingId, TenantId},
};

use super::*;

const TENANT: &str = "school";

fn key() -> CallbackKey {
    CallbackKey::parse(&CallbackKey::encode([9; 32])).expect("is a key")
}

fn addresses() -> CallbackAddresses {
    CallbackAddresses::new("https://bbb.example.org/")
}

fn meeting() -> MeetingKey {
    let id = MeetingId::parse("room-42").expect("is an id");
    MeetingKey::new(TenantId::parse(TENANT).expect("is an id"), id)
}

fn rewritten(parameters: &str) -> String {
    let (sent, dropped) = rewritten_with(parameters);
    assert_eq!(dropped, 0, "{parameters}");
    sent
}

/// Returns the parameters as a server gets them, and the number of addresses that were removed.
fn rewritten_with(parameters: &str) -> (String, usize) {
    let list = ParameterList::parse(parameters, 100).expect("is short");
    let mut sent = list.edited();
    let (meeting, server) = (meeting(), ServerId::parse("bbb1").expect("is an id"));
    let given = AddressBinding { meeting: &meeting, server: &server, expires_ms: 77 };
    let mut nonces = 0_u8;
    let dropped = addresses().rewrite(
        &key(),
        &mut sent,
        given,
        |host| host == "bbb.school.test",
        || {
            nonces += 1;
            [nonces; 12]
        },
    );
    (sent.to_text(), dropped)
}

/// Returns the sealed state of the address that a parameter now has.
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
fn of_several_addresses_for_one_name_servers_get_the_first_alone() {
    let sent = rewritten("meta_endCallbackUrl=https://app.test/1&x=1&meta_ENDcallbackurl=https://app.test/2");
    assert_eq!(opened(&sent, "meta_endcallbackurl").url.as_deref(), Some("https://app.test/1"));
    assert_eq!(RawQuery::new(&sent).count("meta_endcallbackurl"), 1, "{sent}");
    let none_first = "meta_endCallbackUrl=none&meta_endcallbackurl=https://app.test/2";
    assert!(rewritten(none_first).starts_with(none_first), "what the server takes is no address");
}

#[test]
fn addresses_that_lead_to_the_edges_are_taken_out_however_they_are_written() {
    let sealed = opened_address();
    for own in [
        sealed.as_str(),
        "https://bbb.example.org/",
        "http://user@BBB.example.org.:443/usher/callback/1abc",
        "https://bbb.school.test/bigbluebutton/api/",
    ] {
        let own = encode(own);
        let given = format!(
            "a=1&meta_endCallbackUrl={own}&meta_bn-recording-ready-url={own}&meta_x-callback-url={own}\
             &meetingEndedURL={own}&b=2&meta_analytics-callback-url=https%3A%2F%2Fapp.test%2F"
        );
        let (parameters, dropped) = rewritten_with(&given);
        assert_eq!(dropped, 4);
        for name in ["meta_endCallbackUrl", "meta_bn-recording-ready-url", "meta_x-callback-url"] {
            assert_eq!(RawQuery::new(&parameters).count(name), 0, "{parameters}");
        }
        assert_eq!(opened(&parameters, "meetingEndedURL").url, None, "the fleet alone hears of the end");
        assert!(opened(&parameters, "meta_analytics-callback-url").url.is_some(), "the others stand");
        assert!(parameters.starts_with("a=1&") && parameters.contains("&b=2&"), "{parameters}");
    }
}

/// Returns an address of the edges, as a server received it for `meta_endCallbackUrl`.
fn opened_address() -> String {
    let sent = rewritten(&format!("meta_endCallbackUrl={}", encode(URL)));
    RawQuery::new(&sent).first("meta_endCallbackUrl").expect("is there").into_owned()
}

const URL: &str = "https://app.test/end?a=1&b=<2>";

fn restored(tenant: &str, xml: &str) -> String {
    let tenant = TenantId::parse(tenant).expect("is an id");
    addresses().restore(&tenant, |sealed| key().open(sealed).ok(), xml).into_owned()
}

#[test]
fn an_application_sees_its_own_address_as_the_metadata_it_gave_and_no_other_address() {
    let address = opened_address();
    let answer = |name: &str| format!("<response><metadata><{name}>{address}</{name}></metadata></response>");
    let escaped = "https://app.test/end?a=1&amp;b=&lt;2&gt;";
    let own = answer("endcallbackurl");
    assert_eq!(restored(TENANT, &own), own.replace(&address, escaped));
    let without = "<response><metadata></metadata></response>";
    assert_eq!(restored("other", &own), without, "another tenant has come by it");
    for name in ["bn-recording-ready-url", "y-callback-url"] {
        assert_eq!(restored(TENANT, &answer(name)), without, "{name} was sealed for another parameter");
    }
    assert_eq!(restored(TENANT, &answer("x")), answer("x"), "a text of the application");
    for elsewhere in [
        format!("<response><endcallbackurl>{address}</endcallbackurl></response>"),
        format!("<response><attendee><fullName>{address}</fullName></attendee></response>"),
        format!("<response><customdata><endcallbackurl>{address}</endcallbackurl></customdata></response>"),
        format!("{address} cut <"),
        String::new(),
    ] {
        assert_eq!(restored(TENANT, &elsewhere), elsewhere);
    }
    let moved = own.replace("bbb.example.org", "former.example.org");
    assert_eq!(restored(TENANT, &moved), own.replace(&address, escaped), "public_url has changed since");
}

/// The store and its key are lost: no edge can open the addresses that servers still hold.
#[test]
fn an_own_address_that_does_not_open_is_not_shown() {
    let address = opened_address();
    let lost = |xml: &str| {
        let tenant = TenantId::parse(TENANT).expect("is an id");
        addresses().restore(&tenant, |_| None, xml).into_owned()
    };
    let answer = |metadata: &str| format!("<response>\n<metadata>\n{metadata}</metadata>\n</response>");
    for name in ["endcallbackurl", "bn-recording-ready-url", "analytics-callback-url", "y-callback-url"] {
        let metadata = format!("<a>1</a>\n<{name}>{address}</{name}>\n<b>2</b>\n");
        assert_eq!(lost(&answer(&metadata)), answer("<a>1</a>\n<b>2</b>\n"), "{name}");
    }
    for own in
        ["https://BBB.example.org:443/usher/callback/1abc", "http://bbb.example.org/x/usher/callback/1abc"]
    {
        assert_eq!(lost(&answer(&format!("<endcallbackurl>{own}</endcallbackurl>"))), answer(""), "{own}");
    }
    for same in [
        format!("<x>{address}</x>\n"),
        // The application may be a balancer of the same kind.
        "<endcallbackurl>https://other.example.org/usher/callback/1abc</endcallbackurl>\n".to_owned(),
        "<endcallbackurl>https://app.test/end</endcallbackurl>\n".to_owned(),
    ] {
        assert_eq!(lost(&answer(&same)), answer(&same));
    }
}

fn state(kind: CallbackKind) -> CallbackState {
    CallbackState {
        meeting: meeting(),
        server: ServerId::parse("bbb1").expect("is an id"),
        kind,
        parameter: None,
        url: Some("https://app.test/cb?t=1".into()),
        expires_ms: 77,
    }
}

fn got<'r>(
    method: &'r Method,
    query: &'r str,
    bearer: Option<&'r str>,
    body: &'r [u8],
) -> CallbackRequest<'r> {
    CallbackRequest { method, query, bearer, body }
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
    assert_eq!(posted, Err(CallbackRejection::Method));
}

#[test]
fn signed_callbacks_need_a_servers_signature_and_lose_it() {
    let (server, tenant) = (Secret::new("server"), Secret::new("tenant"));
    let claims = json!({ "meeting_id": "school~room-42", "record_id": "r-1" });
    let token = jwt::sign_claims(claims.as_object().expect("is one"), &server).expect("signs");
    let body = format!("signed_parameters={token}");
    let ready = state(CallbackKind::RecordingReady);
    let post = got(&Method::POST, "", None, body.as_bytes());
    let received = receive(&ready, post, [&tenant, &server], 0).expect("is taken");
    assert_eq!(received.form, CallbackForm::SignedForm);
    let value: Value = serde_json::from_slice(&received.body).expect("is JSON");
    assert_eq!(value, json!({ "meeting_id": "room-42", "record_id": "r-1" }));
    assert_eq!(receive(&ready, post, [&tenant], 0), Err(CallbackRejection::Signature));
    assert_eq!(
        receive(&ready, got(&Method::POST, "", None, b"x=1"), [&server], 0),
        Err(CallbackRejection::Signature)
    );
    assert_eq!(
        receive(&ready, got(&Method::GET, "", None, b""), [&server], 0),
        Err(CallbackRejection::Method)
    );

    let bearer = jwt::bearer(0, &server).expect("signs");
    let analytics = state(CallbackKind::Analytics);
    let json = br#"{"version":"1.0", "meeting_id":"room-7"}"#;
    let post = got(&Method::POST, "", Some(&bearer), json);
    let received = receive(&analytics, post, [&server], 0).expect("is taken");
    assert_eq!(
        (received.form, received.body.as_slice()),
        (CallbackForm::BearerJson, &json[..]),
        "byte for byte"
    );
    assert_eq!(
        receive(&analytics, post, [&server], 2 * 86_400_000),
        Err(CallbackRejection::Signature),
        "has run out"
    );
    assert_eq!(receive(&analytics, post, [&tenant], 0), Err(CallbackRejection::Signature));
    let broken = got(&Method::POST, "", Some(&bearer), b"[1]");
    assert_eq!(receive(&analytics, broken, [&server], 0), Err(CallbackRejection::Malformed));
}

proptest! {
    /// For every address, the server never sees it, and the application gets it back.
    #[test]
    fn any_address_comes_back_as_it_was(path in "[ -~]{0,60}") {
        let url = format!("https://app.test/{path}");
        let sent = rewritten(&format!("meta_endCallbackUrl={}&x=1", encode(&url)));
        prop_assert!(!sent.contains("app.test"));
        prop_assert_eq!(opened(&sent, "meta_endCallbackUrl").url, Some(url));
        prop_assert!(sent.contains("&x=1&"));
    }
}
