//! The meetings of one server.

use std::collections::BTreeMap;

use tokio::time::Instant;
use usher_model::{
    id::InternalMeetingId,
    meeting::MeetingKey,
    server::{SampledMeeting, ServerSample},
};

use super::ServerMode;

/// The answer to a create.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CreatedInstance {
    pub(crate) internal_id: InternalMeetingId,
    pub(crate) create_time_ms: i64,
}

struct ListedMeeting {
    created: CreatedInstance,
    since: Instant,
}

pub(super) struct SimBbb {
    pub(super) mode: ServerMode,
    index: usize,
    meetings: BTreeMap<MeetingKey, ListedMeeting>,
    last_ms: i64,
}

impl SimBbb {
    pub(super) fn new(index: usize) -> Self {
        Self { mode: ServerMode::Well, index, meetings: BTreeMap::new(), last_ms: 0 }
    }

    pub(super) fn create(&mut self, key: &MeetingKey, now_ms: i64, now: Instant) -> (CreatedInstance, bool) {
        if let Some(running) = self.meetings.get(key) {
            return (running.created.clone(), false);
        }
        let create_time_ms = now_ms.max(self.last_ms + 1);
        self.last_ms = create_time_ms;
        // A real server hashes the `meetingID`; this internal id is readable and names its server.
        let name = format!("{}.b{}-{create_time_ms}", key.meeting, self.index);
        let internal_id = InternalMeetingId::parse(&name).expect("is an id");
        let created = CreatedInstance { internal_id, create_time_ms };
        self.meetings.insert(key.clone(), ListedMeeting { created: created.clone(), since: now });
        (created, true)
    }

    pub(super) fn running(&self, key: &MeetingKey) -> Option<CreatedInstance> {
        self.meetings.get(key).map(|meeting| meeting.created.clone())
    }

    pub(super) fn runs(&self, internal: &InternalMeetingId) -> bool {
        self.meetings.values().any(|meeting| meeting.created.internal_id == *internal)
    }

    /// Removes an instance; returns `false` if it does not run.
    pub(super) fn remove(&mut self, internal: &InternalMeetingId) -> bool {
        let before = self.meetings.len();
        self.meetings.retain(|_, meeting| meeting.created.internal_id != *internal);
        self.meetings.len() < before
    }

    pub(super) fn clear(&mut self) -> Vec<InternalMeetingId> {
        std::mem::take(&mut self.meetings).into_values().map(|meeting| meeting.created.internal_id).collect()
    }

    pub(super) fn list(&self, now: Instant, taken_at_ms: i64) -> ServerSample {
        let meetings = self.meetings.iter().map(|(key, meeting)| SampledMeeting {
            key: Some(key.clone()),
            claim: None,
            external_id: (&key.meeting).into(),
            internal_id: meeting.created.internal_id.clone(),
            participants: 5,
            age_ms: now.saturating_duration_since(meeting.since).as_millis() as u64,
            max_users: 0,
            size_hint: 0,
            breakout: false,
            named: false,
            voice_bridge: None,
            moderator_password: None,
        });
        ServerSample {
            watermark: 0,
            taken_at_ms,
            meetings: meetings.collect(),
            bbb_version: "3.0".into(),
            term: 0,
        }
    }
}
