//! The state of a server as tests and operators see it.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::HeaderMap;
use usher_bbb::query::{QueryEdit, rewrite};

use crate::{
    hooks::{SimHook, SimHookPost},
    memory::{ServerMeeting, ServerMemory},
};

/// One call that arrived, accepted or refused.
#[derive(Debug, Clone)]
pub struct SimCall {
    /// The name: the path below `/bigbluebutton/api/`.
    pub name: String,
    /// The HTTP method of the request.
    pub method: String,
    /// The query as it arrived, without the checksum.
    pub query: String,
    /// The HTTP headers of the request.
    pub headers: HeaderMap,
    /// The body as it arrived.
    pub body: Bytes,
    /// The time of arrival, in milliseconds since 1970.
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

/// Returns a query without its checksum, which logs must not contain.
pub(crate) fn without_checksum(query: &str) -> String {
    rewrite(query, &[QueryEdit::Remove("checksum")])
}

/// One meeting at the moment of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimMeeting {
    /// The `meetingID`, as the application gave it.
    pub meeting_id: String,
    /// The internal id, which names this instance of the meeting.
    pub internal_id: String,
    /// The name of the meeting.
    pub name: String,
    /// The time of creation, in milliseconds since 1970.
    pub create_time_ms: u64,
    /// The password of moderators.
    pub moderator_password: String,
    /// The password of attendees.
    pub attendee_password: String,
    /// The number of participants, simulated ones included.
    pub participants: usize,
    /// The full names of the users who joined.
    pub users: Vec<String>,
    /// Whether at least one participant is present.
    pub running: bool,
    /// Whether the server has accepted its end or its parent's, at once or for a moment later. The
    /// meeting is still listed.
    pub ending: bool,
    /// For a breakout room: the internal id of its parent.
    pub parent: Option<String>,
    /// The metadata, with keys in lower case.
    pub metadata: BTreeMap<String, String>,
    /// The names of the documents, in order.
    pub documents: Vec<String>,
    /// The chat messages, in order: name of the author and text.
    pub chat: Vec<(String, String)>,
}

impl SimMeeting {
    /// Returns every meeting in a server's memory, breakout rooms included.
    pub(crate) fn all_of(memory: &ServerMemory) -> Vec<Self> {
        memory.meetings().map(|meeting| Self::of(meeting, memory.is_ending(meeting))).collect()
    }

    /// Returns the view of a meeting that has just been created.
    pub(crate) fn of_new(meeting: &ServerMeeting) -> Self {
        Self::of(meeting, false)
    }

    fn of(meeting: &ServerMeeting, ending: bool) -> Self {
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
            ending,
            parent: meeting.breakout.as_ref().map(|breakout| breakout.parent_internal_id.clone()),
            metadata: meeting.metadata.clone(),
            documents: meeting.documents.iter().map(|document| document.name.clone()).collect(),
            chat: meeting.chat.clone(),
        }
    }

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
