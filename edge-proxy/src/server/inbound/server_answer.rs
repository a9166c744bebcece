//! The limits of a callback or event, and the status that its server is answered with.

use std::time::{Duration, Instant};

use http::{HeaderValue, StatusCode, header};

use usher_runtime::clock;

use crate::{
    control::callbacks::HandOverError,
    core::admission::ShedReason,
    metrics::RequestMetrics,
    server::{
        admission::{BodyLimits, body::BodyError},
        callback_sealer::UnopenedAddress,
        transport::{HttpResponse, ResponseBody},
    },
};

/// Seconds after which a server may call again, in `Retry-After`.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("30");

/// The limits of callbacks and events.
#[derive(Debug, Clone, Copy)]
pub(in crate::server) struct HandOverLimits {
    pub(in crate::server) body: BodyLimits,
    /// Longest time for which a callback is offered to the control planes. Servers wait for 60 s.
    pub(in crate::server) offer_for: Duration,
}

impl HandOverLimits {
    /// Returns the time until which a server that calls now waits for its answer.
    pub(super) fn deadline(&self) -> Instant {
        clock::now() + self.offer_for
    }
}

/// Returns the status for a call that no control plane has taken.
pub(super) fn not_taken(error: HandOverError) -> StatusCode {
    match error {
        HandOverError::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        HandOverError::NoShare => StatusCode::TOO_MANY_REQUESTS,
        HandOverError::Refused => StatusCode::BAD_REQUEST,
    }
}

/// Returns the status for a call to an address that was not opened.
pub(super) fn unopened(reason: UnopenedAddress) -> StatusCode {
    match reason {
        UnopenedAddress::Foreign => StatusCode::NOT_FOUND,
        UnopenedAddress::NoKey => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Returns the status for a body that was not read, and counts the limit that it exceeded.
pub(super) fn unread(error: BodyError, metrics: &RequestMetrics) -> StatusCode {
    count_unread(error, metrics);
    match error {
        BodyError::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        BodyError::Slow => StatusCode::REQUEST_TIMEOUT,
        BodyError::Broken | BodyError::Faulty(_) => StatusCode::BAD_REQUEST,
        BodyError::OverBudget(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Counts the limit that a body exceeded.
pub(super) fn count_unread(error: BodyError, metrics: &RequestMetrics) {
    let limit = match error {
        BodyError::TooLarge => Some(ShedReason::BodySize),
        BodyError::Slow => Some(ShedReason::BodyTime),
        BodyError::OverBudget(_) => Some(ShedReason::ByteBudget),
        BodyError::Broken | BodyError::Faulty(_) => None,
    };
    if let Some(limit) = limit {
        metrics.shed.count(limit);
    }
}

/// Returns the answer with a status.
pub(super) fn answer(status: StatusCode) -> HttpResponse {
    let mut response = HttpResponse::new(ResponseBody::default());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    if matches!(status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS) {
        response.headers_mut().insert(header::RETRY_AFTER, RETRY_AFTER);
    }
    response
}
