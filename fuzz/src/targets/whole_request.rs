//! The whole way of a request: bytes of a connection, PROXY protocol, HTTP, checks, rules, servers,
//! and answers.

use http::HeaderMap;
use usher_bbb::parse;

use crate::{
    allocations::allocated,
    edge::{self, CANARY},
    panics,
};

/// The most that an input may allocate: a part for the connection, its calls to the control plane
/// and to servers, and a part for each byte. A list of servers is read and written several times.
const ALLOCATED_MAX: u64 = 8 << 20;
const ALLOCATED_EACH: u64 = 2048;

/// The most bytes of all answers: a part for each answer of an own connection, and a part for each
/// byte of the input. The smallest request takes eighteen bytes, and the longest answer to it is a
/// list.
const ANSWER_MAX: usize = 64 << 10;
const ANSWER_EACH: usize = 512;

/// The paths below which answers are not those of BBB: they are for servers and for `FreeSWITCH`.
const INBOUND: [&str; 2] = ["/usher/callback/", "/fsapi"];

/// Sends the bytes of a connection to an edge: every answer is one of BBB, and neither an answer nor
/// its cost is longer than the input justifies. No answer holds a word of another tenant.
pub(super) fn whole_request(input: &[u8]) {
    let (panicked, before) = (panics::count(), allocated());
    let answers = edge::exchange(input);
    let cost = allocated() - before;
    assert_eq!(panics::count(), panicked, "a task panicked");
    let length = input.len() as u64;
    assert!(cost <= ALLOCATED_MAX + ALLOCATED_EACH * length, "{cost} bytes allocated for {length}");
    assert!(answers.len() <= ANSWER_MAX + ANSWER_EACH * input.len(), "{} bytes of answers", answers.len());
    let text = String::from_utf8_lossy(&answers);
    assert!(!contains(&text, CANARY) || contains(&String::from_utf8_lossy(input), CANARY), "{text}");
    // The answer to a HEAD has the length of a body that does not follow, an answer in HTTP/2 has
    // frames, and the two statuses of these paths are no statuses of BBB.
    let said = String::from_utf8_lossy(input);
    let is_api = !said.contains("HEAD") && !INBOUND.iter().any(|path| said.contains(path));
    if is_api && !said.contains("PRI ") {
        check_all(&answers, &text);
    }
}

fn contains(text: &str, word: &str) -> bool {
    text.to_ascii_lowercase().contains(word)
}

/// Checks every answer of a connection.
fn check_all(answers: &[u8], text: &str) {
    let mut rest = answers;
    while !rest.is_empty() {
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut headers);
        let Ok(httparse::Status::Complete(begin)) = head.parse(rest) else { panic!("no HTTP: {text}") };
        let status = head.code.unwrap_or_default();
        rest = &rest[begin..];
        if status == 100 {
            continue;
        }
        let fields: HeaderMap = head
            .headers
            .iter()
            .filter_map(|field| Some((field.name.parse().ok()?, field.value.try_into().ok()?)))
            .collect::<Vec<(http::HeaderName, http::HeaderValue)>>()
            .into_iter()
            .collect();
        let length = fields.get("content-length").and_then(|length| length.to_str().ok()?.parse().ok());
        let length: usize = length.unwrap_or_else(|| panic!("no length: {text}"));
        let (body, more) = rest.split_at_checked(length).unwrap_or_else(|| panic!("a cut answer: {text}"));
        rest = more;
        check(status, &fields, body);
    }
}

/// Checks one answer (wire-contract 2).
fn check(status: u16, fields: &HeaderMap, body: &[u8]) {
    let body = std::str::from_utf8(body).expect("an answer is text");
    let kind = fields.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match (status, kind) {
        (302, _) => {
            let location = fields.get("location").and_then(|location| location.to_str().ok());
            assert!(location.is_some_and(|to| to.contains("://")), "a redirect to {location:?}");
        }
        (200, "text/xml;charset=utf-8") => {
            let read = parse::outcome(body);
            assert!(read.is_ok(), "no answer of BBB: {body}");
            well_formed(body);
        }
        (200, "application/json;charset=utf-8") => {
            let read: serde_json::Value = serde_json::from_str(body).expect("is JSON");
            let code = &read["response"]["returncode"];
            assert!(code == "SUCCESS" || code == "FAILED", "no answer of BBB: {body}");
        }
        (200, "text/plain;charset=utf-8") => assert_eq!(body, "bbb-webhooks API up!"),
        other => panic!("{other:?}: {body}"),
    }
}

fn well_formed(xml: &str) {
    let mut reader = quick_xml::Reader::from_str(xml);
    reader.config_mut().check_end_names = true;
    loop {
        match reader.read_event() {
            Ok(quick_xml::events::Event::Eof) => return,
            Ok(_) => {}
            Err(error) => panic!("{error}: {xml}"),
        }
    }
}
