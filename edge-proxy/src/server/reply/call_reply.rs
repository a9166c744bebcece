//! The answer to a call, and the outcome that it is counted as.

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, header};
use usher_bbb::{
    call::{AnswerFormat, ApiCall, ChecksumProblem},
    reply::{self, Refusal},
};

use crate::{
    core::{admission::ShedReason, document_body::BodyFault},
    metrics::RequestOutcome,
    server::{
        admission::{body::BodyError, document::RequestDocument},
        transport::{HttpResponse, ResponseBody},
    },
    upstream::{ServerAnswer, ServerCallError},
};

/// Seconds after which a client may try again, in `Retry-After`.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("2");

/// Header of a list that is incomplete; its value is the number of servers whose part is missing.
const MISSING_SERVERS: HeaderName = HeaderName::from_static("usher-missing-servers");

/// An answer to a call.
#[derive(Debug)]
pub(in crate::server) struct CallReply {
    pub(in crate::server) response: HttpResponse,
    /// The outcome that the answer is counted as.
    pub(in crate::server) outcome: RequestOutcome,
    /// The limit because of which the call was refused; the router counts it.
    pub(in crate::server) shed: Option<ShedReason>,
}

impl CallReply {
    /// Answers with XML of our own or of a server.
    pub(in crate::server) fn xml(xml: String, outcome: RequestOutcome) -> Self {
        let mut response = HttpResponse::new(Bytes::from(xml).into());
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(reply::CONTENT_TYPE));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { response, outcome, shed: None }
    }

    /// Answers with JSON of our own or of a server.
    pub(in crate::server) fn json(json: String, outcome: RequestOutcome) -> Self {
        let mut reply = Self::xml(json, outcome);
        reply.response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(reply::JSON));
        reply
    }

    /// Answers with plain text, as bbb-webhooks does to `hooks/ping`.
    pub(in crate::server) fn text(text: &'static str) -> Self {
        let mut reply = Self::xml(text.to_owned(), RequestOutcome::success);
        let plain = HeaderValue::from_static("text/plain;charset=utf-8");
        reply.response.headers_mut().insert(header::CONTENT_TYPE, plain);
        reply
    }

    /// Answers with the XML of a success.
    pub(in crate::server) fn success(xml: String) -> Self {
        Self::xml(xml, RequestOutcome::success)
    }

    /// Passes a server's answer on, as `xml` with the tenant's own ids and addresses.
    pub(in crate::server) fn passed_on(answer: &ServerAnswer, xml: String) -> Self {
        Self::xml(xml, if answer.outcome.success { RequestOutcome::success } else { RequestOutcome::refused })
    }

    /// Marks a list that lacks the parts of so many servers. BBB's answers have no element for it, and
    /// clients ignore headers that they do not know.
    #[must_use]
    pub(in crate::server) fn without(mut self, servers: usize) -> Self {
        if servers > 0 {
            self.response.headers_mut().insert(MISSING_SERVERS, servers.into());
        }
        self
    }

    /// Refuses a call, in the format of its answers.
    pub(in crate::server) fn refused_to(call: ApiCall, refusal: &Refusal) -> Self {
        match refusal_format(call, refusal) {
            AnswerFormat::JsonLines => Self::json(refusal.to_json_lines(), RequestOutcome::refused),
            AnswerFormat::Json => Self::json(refusal.to_json(), RequestOutcome::refused),
            AnswerFormat::Xml => Self::refused(refusal),
        }
    }

    /// Refuses a request whose path or method is not served, in the format of the call that it names.
    pub(in crate::server) fn unsupported(named: Option<ApiCall>) -> Self {
        Self::refused_to(named.unwrap_or(ApiCall::Root), &Refusal::UNSUPPORTED_REQUEST)
    }

    /// Refuses in XML.
    pub(in crate::server) fn refused(refusal: &Refusal) -> Self {
        Self::xml(refusal.to_xml(), RequestOutcome::refused)
    }

    /// Refuses a checksum, in the words of the part of BBB that verifies it.
    pub(in crate::server) fn checksum(call: ApiCall, problem: ChecksumProblem) -> Self {
        let refusal = call.checksum_refusal(problem);
        match (call, problem) {
            // BBB itself refuses a missing checksum in JSON, and a wrong one in XML.
            (ApiCall::PutRecordingTextTrack, ChecksumProblem::Mismatch) => {
                Self::xml(refusal.to_xml(), RequestOutcome::checksum)
            }
            _ => Self { outcome: RequestOutcome::checksum, ..Self::refused_to(call, &refusal) },
        }
    }

    /// Refuses in XML, with a header that says that another try may succeed.
    pub(in crate::server) fn refused_for_now(refusal: &Refusal) -> Self {
        Self::refused(refusal).retryable()
    }

    fn retryable(mut self) -> Self {
        self.outcome = RequestOutcome::unavailable;
        self.response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
        self
    }

    /// Answers in XML that the client may try again (I13).
    pub(in crate::server) fn unavailable() -> Self {
        Self::unavailable_to(ApiCall::Root)
    }

    /// Answers that the client may try again (I13), in the format of the call's answers.
    pub(in crate::server) fn unavailable_to(call: ApiCall) -> Self {
        Self::refused_to(call, &Refusal::SERVER_UNAVAILABLE).retryable()
    }

    /// Answers at once that a limit is reached and the client may try again, in the format of the call's
    /// answers.
    pub(in crate::server) fn shed(call: ApiCall, reason: ShedReason) -> Self {
        Self::unavailable_to(call).over(reason)
    }

    /// Notes the limit that the refused call exceeded.
    #[must_use]
    pub(in crate::server) fn over(mut self, reason: ShedReason) -> Self {
        self.shed = Some(reason);
        self
    }

    /// Answers a call that the server has not answered: by the refusal of its front end if that is final, else that
    /// the client may try again (I13). `body_bytes` is the size of the request's body, if it is known.
    pub(in crate::server) fn unanswered(
        call: ApiCall,
        error: &ServerCallError,
        body_bytes: Option<u64>,
    ) -> Self {
        match error.refusal(body_bytes) {
            Some(refusal) => Self::refused_to(call, &refusal),
            None => Self::unavailable_to(call),
        }
    }

    /// Answers a call with a document that the server has not answered: by the reason for which the document broke
    /// off on its way, if that is it.
    pub(in crate::server) fn undelivered(
        call: ApiCall,
        error: &ServerCallError,
        document: &RequestDocument,
    ) -> Self {
        match document.fault() {
            Some(fault) => Self::unread(call, fault),
            None => Self::unanswered(call, error, document.size()),
        }
    }

    /// Refuses a body that was not read. A limit that it exceeded is counted.
    pub(in crate::server) fn unread(call: ApiCall, error: BodyError) -> Self {
        let refused = |message: String| Self::refused_to(call, &Refusal::validation(message));
        match error {
            BodyError::TooLarge => refused("Request body is too large".into()).over(ShedReason::BodySize),
            BodyError::Slow => refused("Request body took too long".into()).over(ShedReason::BodyTime),
            BodyError::Broken => refused("Request not recognized".into()),
            BodyError::Faulty(fault) => {
                // A server would answer it with HTTP 500 and an error page, which a client must never receive
                // (design 7).
                let reply = refused(fault.to_string());
                if fault == BodyFault::Excessive { reply.over(ShedReason::BodySize) } else { reply }
            }
            BodyError::OverBudget(_) => Self::shed(call, ShedReason::ByteBudget),
        }
    }

    /// Redirects the browser to `location`.
    pub(in crate::server) fn redirect(location: String, outcome: RequestOutcome) -> Self {
        // Locations are built from URLs that were valid, so that one that no header can hold is a defect
        // of the edge itself.
        let Ok(location) = HeaderValue::from_maybe_shared(Bytes::from(location)) else {
            return Self::refused(&Refusal::INTERNAL_ERROR);
        };
        let mut response = HttpResponse::new(ResponseBody::default());
        *response.status_mut() = StatusCode::FOUND;
        response.headers_mut().insert(header::LOCATION, location);
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        Self { response, outcome, shed: None }
    }
}

/// Returns the format in which a call is refused. `getRecordingTextTracks` answers JSON, but a genuine
/// server refuses a checksum and a missing id in XML there (wire-contract 1.6).
fn refusal_format(call: ApiCall, refusal: &Refusal) -> AnswerFormat {
    let in_xml = [Refusal::MISSING_RECORD_ID.key, Refusal::CHECKSUM_OF_RECORDING.key];
    if call == ApiCall::GetRecordingTextTracks && in_xml.contains(&refusal.key) {
        return AnswerFormat::Xml;
    }
    call.answer_format()
}
