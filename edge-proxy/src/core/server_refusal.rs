//! Requests that the front end of a server refuses by HTTP 4xx, before BBB has seen them: which refusal the
//! caller gets, and whether another server is asked (design 11).
//!
//! | status | reason | refusal of the caller | another server |
//! |---|---|---|---|
//! | 404, 405 | the release of the server has no such call or method | `unsupportedRequest` | for a create, which every release has |
//! | 413 | the body is too large | `validationError`, with the size | none |
//! | 414, 431 | the address is too long | `validationError`, with the size | none |
//! | 415 | the type of the body | `unsupportedContentType` | none |
//! | any other | unknown | the retryable error | for a create |
//!
//! None of them is evidence that the server is unhealthy: the caller chose the request.

use http::StatusCode;
use usher_bbb::reply::Refusal;

/// A refusal by the front end of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerRefusal {
    /// The HTTP status, 4xx.
    pub status: StatusCode,
    /// The length of the URL of the request, bytes.
    pub address_bytes: usize,
}

impl ServerRefusal {
    /// Returns the refusal that the caller gets; `None` if another try may succeed. `body_bytes` is the size of
    /// the body, if it is known.
    pub fn of_caller(&self, body_bytes: Option<u64>) -> Option<Refusal> {
        match self.status {
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Some(Refusal::UNSUPPORTED_REQUEST),
            StatusCode::PAYLOAD_TOO_LARGE => Some(Refusal::validation(match body_bytes {
                Some(bytes) => format!("Request body is too large for the server ({bytes} bytes)"),
                None => "Request body is too large for the server".into(),
            })),
            StatusCode::URI_TOO_LONG | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
                let bytes = self.address_bytes;
                Some(Refusal::validation(format!(
                    "Request address is too long for the server ({bytes} bytes)"
                )))
            }
            StatusCode::UNSUPPORTED_MEDIA_TYPE => Some(Refusal::UNSUPPORTED_CONTENT_TYPE),
            _ => None,
        }
    }

    /// Returns whether the request itself is at fault, so that no other server is asked.
    pub fn is_of_request(&self) -> bool {
        matches!(
            self.status,
            StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::URI_TOO_LONG
                | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, body_bytes: Option<u64>) -> Option<(&'static str, String)> {
        let status = StatusCode::from_u16(status).expect("is a status");
        let refusal = ServerRefusal { status, address_bytes: 6200 }.of_caller(body_bytes)?;
        Some((refusal.key, refusal.message.into_owned()))
    }

    #[test]
    fn a_refused_size_is_named_and_an_unknown_call_is_unsupported() {
        let unsupported = Some(("unsupportedRequest", "This request is not supported.".to_owned()));
        assert_eq!((told(404, None), told(405, Some(7))), (unsupported.clone(), unsupported));
        let large = "Request body is too large for the server";
        assert_eq!(told(413, Some(1_200_000)), Some(("validationError", format!("{large} (1200000 bytes)"))));
        assert_eq!(told(413, None), Some(("validationError", large.into())));
        let long = "Request address is too long for the server (6200 bytes)";
        assert_eq!(told(414, None), Some(("validationError", long.into())));
        assert_eq!(told(431, None), told(414, Some(1)));
        assert_eq!(told(415, None).map(|(key, _)| key), Some("unsupportedContentType"));
    }

    #[test]
    fn other_refusals_may_be_over_after_a_while() {
        for status in [400, 401, 403, 408, 409, 411, 421, 429, 499] {
            assert_eq!(told(status, Some(1)), None, "{status}");
        }
    }

    #[test]
    fn no_other_server_is_asked_where_the_request_is_at_fault() {
        let of_request = |status: &u16| {
            let status = StatusCode::from_u16(*status).expect("is a status");
            ServerRefusal { status, address_bytes: 1 }.is_of_request()
        };
        let all: Vec<u16> = (400..500).filter(of_request).collect();
        assert_eq!(all, [413, 414, 415, 431]);
    }
}
