//! The contract call by call (wire-contract 1, wire-contract 2, wire-contract 3, wire-contract 8): each
//! call by every method, each refusal of the catalogue with its text, two tenants with equal ids, and
//! servers that are unreachable. Webhooks have tests of their own, and so have the answers element by
//! element (`golden`).

mod dead;
mod refusals;
mod servers;
mod tenants;

use usher_bbb::{
    call::{ApiCall, BodyKind, CallSigning, CallStrategy},
    checksum::{ChecksumAlgorithm, sign},
    parse::ReplyHeader,
    query::{RawQuery, decode, rebuilt_form},
    secret::Secret,
};

use crate::support::{Answer, Client, SECRET};

pub(super) const API: &str = "/bigbluebutton/api";
const BOUNDARY: &str = "a-part-ends-here";

/// The method and encoding of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// GET, with all parameters in the query.
    Get,
    /// POST of a form, signed over the empty query as newer servers require.
    Form,
    /// POST of a form, with the checksum in the query.
    FormBeside,
    /// POST of a form, signed over the rebuilt body as older servers require.
    OldForm,
    /// POST of all parameters as `multipart/form-data`.
    Parts,
    /// POST of XML, with the parameters in the query.
    Xml,
    /// POST of a file, with the parameters in the query.
    File,
}

/// Returns every call that an application makes about meetings and recordings.
pub(super) fn calls() -> impl Iterator<Item = ApiCall> {
    ApiCall::all().filter(|call| {
        let theirs =
            matches!(call.strategy(), CallStrategy::Hooks(_) | CallStrategy::Session | CallStrategy::Gone);
        call.is_signed() && !theirs
    })
}

/// Returns every way to make a call.
pub(super) fn ways(call: ApiCall) -> Vec<Way> {
    let post = call.accepts_method(&http::Method::POST);
    let takes = |kind| post && call.accepts_body(kind);
    let mut ways = Vec::new();
    ways.extend(call.accepts_method(&http::Method::GET).then_some(Way::Get));
    if takes(BodyKind::Form) {
        ways.extend([Way::Form, Way::FormBeside]);
        ways.extend((call.signing() == CallSigning::Meeting).then_some(Way::OldForm));
    }
    match call {
        ApiCall::PutRecordingTextTrack => ways.push(Way::File),
        _ => ways.extend(takes(BodyKind::Multipart).then_some(Way::Parts)),
    }
    ways.extend(takes(BodyKind::Xml).then_some(Way::Xml));
    ways
}

/// A client of one tenant: the path and the secret of the tenant.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    client: Client,
    prefix: String,
    secret: Secret,
}

impl Caller {
    /// Makes a caller of the tenant `default`.
    pub(super) fn default(client: &Client) -> Self {
        Self { client: client.clone(), prefix: String::new(), secret: Secret::new(SECRET) }
    }

    /// Makes a caller of another tenant.
    pub(super) fn tenant(client: &Client, id: &str, secret: &str) -> Self {
        Self { client: client.clone(), prefix: format!("/{id}"), secret: Secret::new(secret) }
    }

    pub(super) fn checksum(&self, call: ApiCall, query: &str) -> String {
        sign(ChecksumAlgorithm::Sha256, call.name(), query, &self.secret)
    }

    /// Makes a signed call.
    pub(super) async fn call(&self, call: ApiCall, query: &str, way: Way) -> Answer {
        let checksum = match way {
            Way::Get | Way::Xml | Way::File => self.checksum(call, query),
            Way::Form | Way::FormBeside | Way::Parts => self.checksum(call, ""),
            Way::OldForm => self.checksum(call, &rebuilt_form(query)),
        };
        self.send(call, query, way, &[&checksum]).await
    }

    /// Makes a call with these checksums.
    pub(super) async fn send(&self, call: ApiCall, query: &str, way: Way, checksums: &[&str]) -> Answer {
        let signed: Vec<String> = checksums.iter().map(|sum| format!("checksum={sum}")).collect();
        let with = |query: &str| {
            let parts = [query].into_iter().filter(|part| !part.is_empty());
            parts.chain(signed.iter().map(String::as_str)).collect::<Vec<_>>().join("&")
        };
        let path = format!("{}{API}/{}", self.prefix, call.name());
        let of = |query: String| if query.is_empty() { path.clone() } else { format!("{path}?{query}") };
        let form = "application/x-www-form-urlencoded; charset=utf-8";
        let multipart = format!("multipart/form-data; boundary={BOUNDARY}");
        let (method, path, kind, body) = match way {
            // The PHP library sends this content type with GETs too.
            Way::Get => ("GET", of(with(query)), "application/xml", String::new()),
            Way::Form | Way::OldForm => ("POST", path.clone(), form, with(query)),
            Way::FormBeside => ("POST", of(with("")), form, query.to_owned()),
            Way::Parts => ("POST", path.clone(), multipart.as_str(), parts(&with(query))),
            Way::Xml => ("POST", of(with(query)), "text/xml; charset=utf-8", "<modules></modules>".into()),
            Way::File => ("POST", of(with(query)), multipart.as_str(), file("WEBVTT")),
        };
        self.client.send(method, &path, &[("content-type", kind), ("accept", "*/*")], body).await
    }
}

/// Returns a form as `multipart/form-data`.
fn parts(form: &str) -> String {
    let part = |name: &str, value: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let pairs = RawQuery::new(form).pairs();
    let parts: String = pairs.map(|pair| part(&decode(pair.name), &decode(pair.value))).collect();
    format!("{parts}--{BOUNDARY}--\r\n")
}

fn file(text: &str) -> String {
    let head = "Content-Disposition: form-data; name=\"file\"; filename=\"a.vtt\"\r\nContent-Type: text/vtt";
    format!("--{BOUNDARY}\r\n{head}\r\n\r\n{text}\r\n--{BOUNDARY}--\r\n")
}

/// Reads an answer in the format of its call. The refusal of a wrong checksum may be XML for every
/// call.
pub(super) fn said(call: ApiCall, answer: &Answer) -> ReplyHeader {
    if call.answers_json() && answer.body.trim_start().starts_with('{') {
        answer.json()
    } else {
        answer.outcome()
    }
}

/// Asserts that a call is refused with this key and message, and in no other shape.
pub(super) fn assert_refused(call: ApiCall, answer: &Answer, (key, message): (&str, &str), what: &str) {
    let outcome = said(call, answer);
    let found = (outcome.success, outcome.key.as_str(), outcome.message.as_str());
    assert_eq!(found, (false, key, message), "{what}: {answer:?}");
    if !answer.body.trim_start().starts_with('{') {
        let names: Vec<String> = answer
            .tokens()
            .into_iter()
            .filter(|token| token.starts_with('<') && !token.starts_with("</"))
            .collect();
        assert_eq!(names, ["<response>", "<returncode>", "<messageKey>", "<message>"], "{what}: {answer:?}");
    }
}

/// The page lists the calls by hand, so this test fails if a call is forgotten there.
#[test]
fn every_call_has_a_row_in_the_conformance_table() {
    let page = include_str!("../../../docs/bbb-api.md");
    let first_cells: Vec<&str> =
        page.lines().filter_map(|line| line.strip_prefix("| ")?.split('|').next()).collect();
    for call in ApiCall::all().filter(|call| *call != ApiCall::Root) {
        let name = format!("`{call}`");
        assert!(first_cells.iter().any(|cell| cell.contains(&name)), "{call} has no row in docs/bbb-api.md");
    }
}
