//! Reads the answers of servers. Unknown content is accepted, but the document must be complete: a list that was cut,
//! or an answer without a list, is an error and never a shorter list (H12).

mod element;
mod fields;
mod hooks;
mod json;
mod list;
mod listing;
mod metadata;
mod own_id;
mod recordings;
mod sessions;
mod strip;
mod unscope;

pub use element::UnreadableReply;
use fields::ReplyFields;
pub use hooks::{ListedHook, hooks};
pub use json::json_outcome;
pub use list::{ListedMeeting, meetings};
pub use metadata::{MetadataChange, changed_metadata};
pub use own_id::with_own_id;
pub use recordings::{ListedRecording, RecordingList, recordings};
pub use sessions::{ListedSession, sessions};
pub use strip::strip_usher_metadata;
pub use unscope::{element_with_id, unscoped, unscoped_element};

/// The largest size of an answer, bytes: room for some ten thousand meetings.
pub const MAX_BYTES: usize = 64 << 20;

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

/// The parent that servers name for a meeting that is no breakout room.
const NO_PARENT: &str = "bbb-none";

/// The content of a successful answer to `create`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateReply {
    /// The `meetingID`, as the server echoes it: runs of spaces may have become one.
    pub meeting_id: String,
    /// Internal id of the meeting.
    pub internal_id: String,
    /// Create time by the clock of the server, milliseconds since 1970.
    pub create_time_ms: i64,
    /// Whether the meeting existed before (`duplicateWarning`).
    pub duplicate: bool,
    /// Whether the meeting is a breakout room, which has a parent.
    pub breakout: bool,
}

/// Reads return code, key and text of any XML answer.
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

/// Reads a number in the forms of servers, such as `1,234`. A text without a digit is 0.
fn digits(text: &str) -> i64 {
    text.bytes()
        .filter(u8::is_ascii_digit)
        .fold(0i64, |number, digit| number.saturating_mul(10).saturating_add(i64::from(digit - b'0')))
}

/// Returns the create time at the end of an internal id, or 0.
fn create_time_of(internal_id: &str) -> i64 {
    internal_id.rsplit_once('-').map_or(0, |(_, time)| digits(time))
}

#[cfg(test)]
mod tests;
