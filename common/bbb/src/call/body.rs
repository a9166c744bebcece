//! The kinds of request body.

/// The kinds of request body that some call accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data`
    Multipart,
    /// `application/xml`, `text/xml`
    Xml,
    /// `application/json`
    Json,
}

impl BodyKind {
    /// Reads a `Content-Type` and ignores its parameters.
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        match () {
            () if is("application/x-www-form-urlencoded") => Some(Self::Form),
            () if is("multipart/form-data") => Some(Self::Multipart),
            () if is("application/xml") || is("text/xml") => Some(Self::Xml),
            () if is("application/json") => Some(Self::Json),
            () => None,
        }
    }
}
