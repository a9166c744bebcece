//! The format of a call's answers, and the answer about a meeting that does not exist.

use crate::reply::Refusal;

/// The format of a call's answers, refusals included. `join` and `hooks/ping` answer with a redirect
/// and with plain text, and refuse in XML like most calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFormat {
    /// XML, as for most calls.
    Xml,
    /// JSON on one line.
    Json,
    /// JSON that BBB prints with four spaces of indentation.
    JsonLines,
}

/// The answer of a call that names a meeting that does not exist (wire-contract 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingMeeting {
    /// The call names no meeting.
    Inapplicable,
    /// The call creates the meeting.
    Placed,
    /// A success: the meeting does not run.
    NotRunning,
    /// A refusal.
    Refused(Refusal),
    /// A refusal that has no key and repeats the meeting's id.
    RefusedWithoutKey,
}
