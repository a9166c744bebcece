//! Answers to clients: always HTTP 200 with BBB's XML, or a redirect; never a page.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use http_body_util::Full;
use usher_bbb::{
    call::{AnswerFormat, ApiCall, ChecksumProblem},
    reply::{self, Refusal},
};

use super::transport::HttpResponse;
use crate::{metrics::Outcome, upstream::ServerAnswer};

/// Seconds after which a client may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Header of a list that lacks what so many servers have.
const MISSING_SERVERS: HeaderName = HeaderName::from_static("usher-missing-servers");

/// An answer and how it is counted.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: HttpResponse,
    pub(super) outcome: Outcome,
}

impl Reply {
    /// Answers with XML of our own or of a server.
    pub(super) fn xml(xml: String, outcome: Outcome) -> Self {
        let mut response = HttpResponse::new(Full::new(Bytes::from(xml)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply::CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { response, outcome }
    }

    /// Answers with JSON of our own or of a server.
    pub(super) fn json(json: String, outcome: Outcome) -> Self {
        let mut reply = Self::xml(json, outcome);
        reply.response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(reply::JSON));
        reply
    }

    /// Answers with a word, as bbb-webhooks does.
    pub(super) fn text(text: &'static str) -> Self {
        let mut reply = Self::xml(text.to_owned(), Outcome::success);
        let plain = HeaderValue::from_static("text/plain;charset=utf-8");
        reply.response.headers_mut().insert(header::CONTENT_TYPE, plain);
        reply
    }

    /// Answers as asked.
    pub(super) fn success(xml: String) -> Self {
        Self::xml(xml, Outcome::success)
    }

    /// Passes a server's answer on.
    pub(super) fn passed_on(answer: &ServerAnswer, xml: String) -> Self {
        Self::xml(xml, if answer.outcome.success { Outcome::success } else { Outcome::refused })
    }

    /// Marks a list as lacking what so many servers have. BBB's answers have no place for it, and
    /// clients pass over headers that they do not know.
    #[must_use]
    pub(super) fn without(mut self, servers: usize) -> Self {
        if servers > 0 {
            self.response.headers_mut().insert(MISSING_SERVERS, servers.into());
        }
        self
    }

    /// Refuses, in BBB's words and in the language that the call answers in.
    pub(super) fn refused_to(call: ApiCall, refusal: &Refusal) -> Self {
        match call.answer_format() {
            AnswerFormat::JsonLines => Self::json(refusal.to_json_lines(), Outcome::refused),
            AnswerFormat::Json => Self::json(refusal.to_json(), Outcome::refused),
            AnswerFormat::Xml => Self::refused(refusal),
        }
    }

    /// Refuses, in BBB's words.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self::xml(refusal.to_xml(), Outcome::refused)
    }

    /// Refuses a checksum, in the words of the part of BBB that checks it.
    pub(super) fn checksum(call: ApiCall, problem: ChecksumProblem) -> Self {
        let refusal = call.checksum_refusal(problem);
        match (call, problem) {
            // As BBB does it: what is missing is told in JSON, what is wrong in XML.
            (ApiCall::PutRecordingTextTrack, ChecksumProblem::Mismatch) => {
                Self::xml(refusal.to_xml(), Outcome::checksum)
            }
            _ => Self { outcome: Outcome::checksum, ..Self::refused_to(call, &refusal) },
        }
    }

    /// Answers that the client may try again (I13).
    pub(super) fn unavailable() -> Self {
        Self::unavailable_to(ApiCall::Root)
    }

    /// Answers that the client may try again, in the language that the call answers in.
    pub(super) fn unavailable_to(call: ApiCall) -> Self {
        let mut reply = Self::refused_to(call, &Refusal::SERVER_UNAVAILABLE);
        reply.outcome = Outcome::unavailable;
        reply.response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        reply
    }

    /// Sends the browser elsewhere.
    pub(super) fn redirect(location: String, outcome: Outcome) -> Self {
        // Locations are made of URLs that came as URLs; one that no header may hold is a fault here.
        let Ok(location) = HeaderValue::from_maybe_shared(Bytes::from(location)) else {
            return Self::refused(&Refusal::INTERNAL_ERROR);
        };
        let mut response = HttpResponse::new(Full::default());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, location);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { response, outcome }
    }
}
