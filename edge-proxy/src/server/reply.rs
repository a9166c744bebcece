//! Answers to clients: always HTTP 200 with BBB's XML, or a redirect; never a page.

use bytes::Bytes;
use http::{HeaderValue, StatusCode, header};
use http_body_util::Full;
use usher_common::bbb::{
    call::{Call, ChecksumProblem},
    reply::{self, Refusal},
};

use crate::{metrics::Outcome, upstream::Answer};

/// Seconds after which a client may try again.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// An answer as hyper sends it.
pub(super) type Response = http::Response<Full<Bytes>>;

/// An answer and how it is counted.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) response: Response,
    pub(super) outcome: Outcome,
}

impl Reply {
    /// Answers with XML of our own or of a server.
    pub(super) fn xml(xml: String, outcome: Outcome) -> Self {
        let mut response = Response::new(Full::new(Bytes::from(xml)));
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply::CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { response, outcome }
    }

    /// Answers as asked.
    pub(super) fn success(xml: String) -> Self {
        Self::xml(xml, Outcome::success)
    }

    /// Passes a server's answer on.
    pub(super) fn passed_on(answer: &Answer, xml: String) -> Self {
        Self::xml(xml, if answer.outcome.success { Outcome::success } else { Outcome::refused })
    }

    /// Refuses, in BBB's words.
    pub(super) fn refused(refusal: &Refusal) -> Self {
        Self::xml(refusal.to_xml(), Outcome::refused)
    }

    /// Refuses a checksum, in the words of the part of BBB that checks it.
    pub(super) fn checksum(call: Call, problem: ChecksumProblem) -> Self {
        Self::xml(call.checksum_refusal(problem).to_xml(), Outcome::checksum)
    }

    /// Answers that the client may try again (I13).
    pub(super) fn unavailable() -> Self {
        let mut reply = Self::xml(Refusal::SERVER_UNAVAILABLE.to_xml(), Outcome::unavailable);
        reply.response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        reply
    }

    /// Sends the browser elsewhere.
    pub(super) fn redirect(location: String, outcome: Outcome) -> Self {
        // Locations are made of URLs that came as URLs; one that no header may hold is a fault here.
        let Ok(location) = HeaderValue::from_maybe_shared(Bytes::from(location)) else {
            return Self::refused(&Refusal::INTERNAL_ERROR);
        };
        let mut response = Response::new(Full::default());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, location);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { response, outcome }
    }
}
