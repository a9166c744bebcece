//! The answer to a call, before HTTP.

use usher_bbb::reply::Refusal;

/// The answer to a call, before HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ApiAnswer {
    /// Status 200 with an XML body.
    Xml(String),
    /// Status 200 with a JSON body.
    Json(String),
    /// Status 200 with a plain text body.
    Text(&'static str),
    /// Status 302 to this address.
    Redirect(String),
    /// The answer with the cookie of a new session.
    WithSession(Box<ApiAnswer>),
    /// The path names no call of the API (404).
    NotFound,
    /// The call does not accept the method of the request (405).
    MethodNotAllowed,
    /// The request makes bbb-web throw an exception (500).
    ServerError,
}

impl ApiAnswer {
    /// Adds the cookie of a new session.
    pub(crate) fn with_session(self) -> Self {
        Self::WithSession(Box::new(self))
    }
}

impl From<Refusal> for ApiAnswer {
    fn from(refusal: Refusal) -> Self {
        Self::Xml(refusal.to_xml())
    }
}
