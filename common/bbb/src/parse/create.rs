//! Reads the answer of `create`.

use super::{
    element::UnreadableReply,
    fields::ReplyFields,
    numbers::{create_time_of, digits},
    outcome::{FailedReply, ServerReply},
};

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
