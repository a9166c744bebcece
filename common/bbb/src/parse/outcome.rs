//! The outcome of an answer: success or failure, with a key and a text.

/// A complete and well-formed answer of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerReply<T> {
    /// The `returncode` is SUCCESS.
    Success(T),
    /// The `returncode` is FAILED or any other text.
    Failed(FailedReply),
}

/// The key and the text of a failed answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailedReply {
    /// Value of `messageKey`, or the first `key` in the older form; may be empty.
    pub key: String,
    /// Value of `message`; may be empty.
    pub message: String,
}

/// The parts that every answer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHeader {
    /// Whether `returncode` is SUCCESS.
    pub success: bool,
    /// Value of `messageKey`; may be empty.
    pub key: String,
    /// Value of `message`; may be empty.
    pub message: String,
}
