//! The refusals of a body.

/// The reason why a body is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BodyFault {
    /// The body is not well-formed XML.
    #[error("Request body is not well-formed XML")]
    Malformed,
    /// The body exceeds a limit of the checker.
    #[error("Request body is nested too deeply or has too much markup")]
    Excessive,
    /// The address of a document has no file name.
    #[error("Request body names a document without a file name")]
    NamelessDocument,
}
