//! Requests as the clients of the bench send them.

use bytes::Bytes;
use usher_bbb::{
    checksum::{ChecksumAlgorithm, sign_query},
    secret::Secret,
};

/// A tenant, as the source of signed requests.
#[derive(Debug, Clone)]
pub(super) struct ApiClient {
    /// The path of the API of the tenant, with a slash at both ends.
    path: &'static str,
    secret: Secret,
}

impl ApiClient {
    pub(super) fn new(path: &'static str, secret: &str) -> Self {
        Self { path, secret: Secret::new(secret) }
    }

    /// Returns a signed GET request.
    pub(super) fn get(&self, call: &str, query: String) -> Bytes {
        let signed = sign_query(ChecksumAlgorithm::Sha256, call, query, &self.secret);
        get(&format!("{}{call}?{signed}", self.path))
    }

    /// Returns a signed POST request with a body of this content type.
    pub(super) fn post(&self, call: &str, query: String, content_type: &str, body: &str) -> Bytes {
        let signed = sign_query(ChecksumAlgorithm::Sha256, call, query, &self.secret);
        let length = body.len();
        Bytes::from(format!(
            "POST {}{call}?{signed} HTTP/1.1\r\nhost: bbb.example.org\r\ncontent-type: {content_type}\r\n\
             content-length: {length}\r\n\r\n{body}",
            self.path
        ))
    }
}

/// Returns a GET request without a signature.
pub(super) fn get(target: &str) -> Bytes {
    Bytes::from(format!("GET {target} HTTP/1.1\r\nhost: bbb.example.org\r\naccept: */*\r\n\r\n"))
}

/// Returns the parameters of a create with ordinary passwords.
pub(super) fn create(meeting_id: &str) -> String {
    format!("name=Room&meetingID={meeting_id}&attendeePW=ap&moderatorPW=mp")
}
