//! Reads the answers of servers. Unknown content is accepted, but the document must be complete: a list that was cut,
//! or an answer without a list, is an error and never a shorter list (H12).

mod create;
mod element;
mod fields;
mod hooks;
mod json;
mod list;
mod listing;
mod metadata;
mod numbers;
mod outcome;
mod own_id;
mod recordings;
mod sessions;
mod strip;
mod unscope;

pub use create::{CreateReply, create_reply};
pub use element::{MAX_BYTES, UnreadableReply};
use fields::ReplyFields;
pub use hooks::{ListedHook, hooks};
pub use json::json_outcome;
pub use list::{ListedMeeting, meetings};
pub use metadata::{MetadataChange, changed_metadata};
pub use outcome::{FailedReply, ReplyHeader, ServerReply};
pub use own_id::with_own_id;
pub use recordings::{ListedRecording, RecordingList, recordings};
pub use sessions::{ListedSession, sessions};
pub use strip::strip_usher_metadata;
pub use unscope::{element_with_id, unscoped, unscoped_element};

/// Reads return code, key and text of any XML answer.
pub fn outcome(body: &str) -> Result<ReplyHeader, UnreadableReply> {
    ReplyFields::read(body).map(|fields| fields.outcome())
}

#[cfg(test)]
mod tests;
