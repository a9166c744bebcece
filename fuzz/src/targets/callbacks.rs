//! Callbacks and webhooks of servers: their addresses, their tokens, and their events.

use http::Method;
use url::Url;
use usher_bbb::{
    query::{ParameterList, RawQuery, decode},
    secret::Secret,
};
use usher_control_plane::notifications::rules::hooks::{EventWording, event, in_own_words};
use usher_edge_proxy::core::{
    callbacks::{AddressBinding, CallbackAddresses, CallbackForm, CallbackRequest, receive, sealed},
    limits::PARAMETERS_MAX,
};
use usher_model::{
    callback::{
        CallbackKey, CallbackKind, CallbackState, HookState, ShownAddress, jwt, webhook::WebhookPost,
    },
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};

/// The base URL of the addresses.
const BASE: &str = "https://usher.test";

const NOW_MS: i64 = 1_700_000_000_000;

fn key() -> CallbackKey {
    CallbackKey::parse(&CallbackKey::encode([7; 32])).expect("is a key")
}

fn meeting() -> MeetingKey {
    let tenant = TenantId::parse("school").expect("is an id");
    MeetingKey::new(tenant, MeetingId::parse("room").expect("is an id"))
}

fn server() -> ServerId {
    ServerId::parse("bbb-1").expect("is an id")
}

/// Parses callbacks of servers: the function accepts no text that this key did not seal or sign,
/// and forwards a form unchanged.
pub(super) fn callback(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    if let Some(posted) = WebhookPost::read(&text) {
        assert!(WebhookPost::read(&posted.form()).is_some_and(|again| again == posted));
        for event in event::split(&posted.events).unwrap_or_default() {
            let facts = event::facts(event);
            assert!(facts.external.is_none_or(|id| !id.is_empty()) && posted.events.contains(event));
        }
    }
    let key = key();
    assert!(key.open(&text).is_err() && HookState::open(&key, &text).is_none());
    assert!(jwt::verify(&text, [&Secret::new("secret")], 0).is_err());
}

/// Replaces the callback addresses of a create: the server gets addresses of ours alone, and an
/// address opens to the one that the application gave, only for its tenant and parameter.
pub(super) fn callback_address(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (key, meeting, server) = (key(), meeting(), server());
    let binding = AddressBinding { meeting: &meeting, server: &server, expires_ms: NOW_MS };
    let addresses = CallbackAddresses::new(BASE);
    let Ok(list) = ParameterList::parse(text.as_ref(), PARAMETERS_MAX) else { return };
    let mut edited = list.edited();
    addresses.rewrite(&key, &mut edited, binding, |host| host == "school.example.org", || [3; 12]);
    let given = edited.to_text();
    assert!(given.len() <= 2048 + 16 * text.len(), "{} bytes", given.len());
    let query = RawQuery::new(&given);
    assert_eq!(query.count("meetingEndedURL"), 1);
    for pair in query.pairs() {
        let name = decode(pair.name);
        let Some(kind) = CallbackKind::of_parameter(&name) else { continue };
        // Servers use the first of several values of one name.
        let Some(value) = query.first(&name) else { continue };
        let Some(state) = sealed(&value).and_then(|sealed| key.open(sealed).ok()) else {
            // A server cannot call the value, and an address that leads to the edges is removed.
            assert!(kind != CallbackKind::Ended && !is_web_address(&value), "{name}={value}");
            continue;
        };
        let parameter = state.parameter.as_deref().unwrap_or_default();
        assert!(state.meeting == meeting && state.server == server && state.kind == kind);
        assert!(state.is_for(&meeting.tenant, parameter));
        assert!(!state.is_for(&TenantId::default_tenant(), parameter));
    }
}

fn is_web_address(text: &str) -> bool {
    Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Takes a callback of a server for an address that is valid: the application gets a call only at
/// its own address, and a body only if a server signed it.
pub(super) fn callback_request(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let (line, body) = text.split_once('\n').unwrap_or((&text, ""));
    let secrets = [Secret::new("a server's secret")];
    let application = "https://app.example.org/cb?a=1";
    for kind in [
        CallbackKind::Ended,
        CallbackKind::EndedMeta,
        CallbackKind::RecordingReady,
        CallbackKind::Analytics,
        CallbackKind::Other,
    ] {
        let state = CallbackState {
            meeting: meeting(),
            server: server(),
            kind,
            parameter: Some("meta_x".to_owned()),
            url: Some(application.to_owned()),
            expires_ms: NOW_MS + 1,
        };
        for (method, bearer) in [(Method::GET, None), (Method::POST, None), (Method::POST, Some(line))] {
            let request = CallbackRequest { method: &method, query: line, bearer, body: body.as_bytes() };
            let Ok(taken) = receive(&state, request, &secrets, NOW_MS) else { continue };
            assert!(taken.form == CallbackForm::Get && taken.body.is_empty(), "unsigned: {text}");
            assert!(taken.url.starts_with(application) && taken.url.len() <= 128 + 4 * text.len());
        }
    }
    let restored = CallbackAddresses::new(BASE).restore(&meeting().tenant, |_| None, &text);
    assert!(restored.len() <= text.len(), "an address that does not open is left out, or it is none of ours");
}

/// Rewrites events for an application: only its id, its addresses and our own metadata change.
pub(super) fn webhook_event(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let Ok(events) = event::split(&text) else { return };
    let address = |name: &str, _: &str| match name {
        "endcallbackurl" => ShownAddress::Application("https://app.test/".to_owned()),
        "lost-callback-url" => ShownAddress::Lost,
        _ => ShownAddress::Text,
    };
    let words = EventWording { on_server: "school~room", own: "room", address: &address };
    let text_alone = |_: &str, _: &str| ShownAddress::Text;
    let same = EventWording { on_server: "room", own: "room", address: &text_alone };
    for event in events {
        let told = in_own_words(event, &words);
        assert!(told.len() <= event.len() + 64 * (1 + event.matches("callback").count()), "{told}");
        let read: Result<serde_json::Value, _> = serde_json::from_str(event);
        // Values that the reader refuses, such as half a character, are passed on as they are.
        let again: Result<serde_json::Value, _> = serde_json::from_str(&told);
        assert_eq!(again.is_ok(), read.is_ok(), "{event}: {told}");
        assert_eq!(in_own_words(&told, &words), told, "{event}");
        if !event.contains("usher-") && !event.contains('\\') {
            assert_eq!(in_own_words(event, &same), event);
        }
    }
}
