//! What tests and operators see of a server.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use usher_bbb::query::{QueryEdit, rewrite};

use crate::{
    hooks::{SimHook, SimHookPost},
    world::Meeting,
};

/// One call that arrived, whatever came of it.
#[derive(Debug, Clone)]
pub struct SimCall {
    /// Its name, as in the path below `/bigbluebutton/api/`.
    pub name: String,
    /// Its method.
    pub method: String,
    /// Its query as it came, without the checksum.
    pub query: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
    /// When it arrived, milliseconds since 1970.
    pub at_ms: u64,
}

impl SimCall {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "call": self.name, "method": self.method, "query": self.query, "atMs": self.at_ms,
            "bodyBytes": self.body.len(),
        })
    }
}

/// Returns a query without its checksum, which is not to be shown.
pub(crate) fn without_checksum(query: &str) -> String {
    rewrite(query, &[QueryEdit::Remove("checksum")])
}

/// One meeting as it is right now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimMeeting {
    /// Its `meetingID`.
    pub meeting_id: String,
    /// This instance of it.
    pub internal_id: String,
    /// Its name.
    pub name: String,
    /// When it was created, milliseconds since 1970.
    pub create_time_ms: u64,
    /// The moderators' password.
    pub moderator_password: String,
    /// The attendees' password.
    pub attendee_password: String,
    /// Everybody in it.
    pub participants: usize,
    /// Full names of those who joined.
    pub users: Vec<String>,
    /// Whether anybody is in it.
    pub running: bool,
    /// Whether it was ended and is still listed.
    pub ending: bool,
    /// Of a breakout room, the internal id of its parent.
    pub parent: Option<String>,
    /// Metadata, keys in lower case.
    pub metadata: BTreeMap<String, String>,
    /// Names of what was given to show, in order.
    pub documents: Vec<String>,
    /// Who said what, in order.
    pub chat: Vec<(String, String)>,
}

impl From<&Meeting> for SimMeeting {
    fn from(meeting: &Meeting) -> Self {
        Self {
            meeting_id: meeting.external_id.clone(),
            internal_id: meeting.internal_id.clone(),
            name: meeting.name.clone(),
            create_time_ms: meeting.create_time_ms,
            moderator_password: meeting.moderator_password.clone(),
            attendee_password: meeting.attendee_password.clone(),
            participants: meeting.participants(),
            users: meeting.users.iter().map(|user| user.full_name.clone()).collect(),
            running: meeting.is_running(),
            ending: meeting.ended_at_ms.is_some(),
            parent: meeting.breakout.as_ref().map(|breakout| breakout.parent_internal_id.clone()),
            metadata: meeting.metadata.clone(),
            documents: meeting.documents.iter().map(|document| document.name.clone()).collect(),
            chat: meeting.chat.clone(),
        }
    }
}

impl SimMeeting {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "meetingID": self.meeting_id, "internalMeetingID": self.internal_id, "name": self.name,
            "createTime": self.create_time_ms, "participants": self.participants, "users": self.users,
            "running": self.running, "ending": self.ending, "parent": self.parent,
            "metadata": self.metadata, "documents": self.documents,
        })
    }
}

impl SimHook {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "hookID": self.id, "callbackURL": self.callback_url, "meetingID": self.meeting_id,
            "eventID": self.event_ids, "permanent": self.permanent, "raw": self.raw,
        })
    }
}

impl SimHookPost {
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "hookID": self.hook_id, "callbackURL": self.callback_url, "event": self.event,
            "body": self.body, "status": self.status,
        })
    }
}
