//! Reading what servers answer: lenient about what is in it, strict about it being whole. A list
//! that was cut, or is none, is an error and never a shorter list.

mod element;
mod fields;
mod hooks;
mod json;
mod list;
mod listing;
mod metadata;
mod recordings;
mod sessions;
mod strip;
mod unscope;

pub use element::UnreadableReply;
use fields::ReplyFields;
pub use hooks::{ListedHook, hooks};
pub use json::json_outcome;
pub use list::{ListedMeeting, meetings};
pub use metadata::reworded_metadata;
pub use recordings::{ListedRecording, RecordingList, recordings};
pub use sessions::{ListedSession, sessions};
pub use strip::strip_usher_metadata;
pub use unscope::{unscoped, unscoped_element};

/// Largest answer that is read, in bytes: some ten thousand meetings.
pub const MAX_BYTES: usize = 64 << 20;

/// A readable answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServerReply<T> {
    /// `returncode` is SUCCESS.
    Success(T),
    /// `returncode` is FAILED, or anything else.
    Failed(FailedReply),
}

/// A failed answer's own words.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailedReply {
    /// The `messageKey`, or the first `key` in the older shape; may be empty.
    pub key: String,
    /// The `message`; may be empty.
    pub message: String,
}

/// What every answer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyHeader {
    /// Whether `returncode` is SUCCESS.
    pub success: bool,
    /// The `messageKey`; may be empty.
    pub key: String,
    /// The `message`; may be empty.
    pub message: String,
}

/// What servers call the parent of a meeting that is no breakout room.
const NO_PARENT: &str = "bbb-none";

/// What a successful `create` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateReply {
    /// The `meetingID`, as the server echoes it: runs of spaces may have become one.
    pub meeting_id: String,
    /// The instance.
    pub internal_id: String,
    /// Milliseconds since 1970 by the server's clock.
    pub create_time_ms: i64,
    /// Whether the meeting existed before (`duplicateWarning`).
    pub duplicate: bool,
    /// Whether it is a breakout room: it has a parent.
    pub breakout: bool,
}

/// Reads return code and message of any XML answer.
pub fn outcome(body: &str) -> Result<ReplyHeader, UnreadableReply> {
    ReplyFields::read(body).map(|fields| fields.outcome())
}

/// Reads the answer of `create`.
pub fn create_reply(body: &str) -> Result<ServerReply<CreateReply>, UnreadableReply> {
    let mut fields = ReplyFields::read(body)?;
    let outcome = fields.outcome();
    if !outcome.success {
        return Ok(ServerReply::Failed(FailedReply { key: outcome.key, message: outcome.message }));
    }
    let internal_id = fields.take_required("internalMeetingID")?;
    let parent = fields.take("parentMeetingID").filter(|parent| !matches!(parent.trim(), "" | NO_PARENT));
    Ok(ServerReply::Success(CreateReply {
        breakout: parent.is_some(),
        meeting_id: fields.take_required("meetingID")?,
        create_time_ms: match fields.take("createTime") {
            Some(time) => digits(&time),
            None => create_time_of(&internal_id),
        },
        internal_id,
        duplicate: outcome.key == "duplicateWarning",
    }))
}

/// Reads a number as servers print them, `1,234` included; what has no digit is 0.
fn digits(text: &str) -> i64 {
    text.bytes()
        .filter(u8::is_ascii_digit)
        .fold(0i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

/// Returns the create time that an internal id ends in, or 0.
fn create_time_of(internal_id: &str) -> i64 {
    internal_id.rsplit_once('-').map_or(0, |(_, time)| digits(time))
}

#[cfg(test)]
mod tests;
