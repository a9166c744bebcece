//! The events of a server as its webhooks send them: mapped, or as messages of the server's bus.

mod raw;

use serde::Serialize;

use crate::{
    memory::{MeetingIds, MeetingUser, MemoryChange, ServerMeeting, TimedChange},
    recording::{SimRecording, SimRecordingState},
    time,
};

/// An event of a meeting or a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerEvent {
    /// The kind, as in `eventID`.
    pub(crate) id: &'static str,
    /// The `meetingID` of its meeting.
    pub(crate) meeting_id: String,
    /// The mapped form, as JSON.
    pub(crate) mapped: String,
    /// The message of the bus, as JSON.
    pub(crate) raw: String,
}

#[derive(Serialize)]
struct MappedEvent<'e> {
    data: EventData<'e>,
}

#[derive(Serialize)]
struct EventData<'e> {
    r#type: &'static str,
    id: &'static str,
    attributes: EventAttributes<'e>,
    event: EventTime,
}

#[derive(Serialize)]
struct EventTime {
    ts: u64,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct EventAttributes<'e> {
    meeting: MeetingPart<'e>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserPart<'e>>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    step: Option<RecordingStep<'e>>,
}

#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct MeetingPart<'e> {
    internal_meeting_id: &'e str,
    external_meeting_id: &'e str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<MeetingDetails<'e>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct MeetingDetails<'e> {
    name: &'e str,
    is_breakout: bool,
    parent_id: &'e str,
    duration: u64,
    create_time: u64,
    create_date: String,
    moderator_pass: &'e str,
    viewer_pass: &'e str,
    record: bool,
    voice_conf: String,
    dial_number: &'e str,
    max_users: usize,
    metadata: &'e std::collections::BTreeMap<String, String>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct UserPart<'e> {
    internal_user_id: &'e str,
    external_user_id: &'e str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    details: Option<UserDetails<'e>>,
}

#[derive(Serialize)]
struct UserDetails<'e> {
    name: &'e str,
    role: &'static str,
    /// A boolean as text, as bbb-webhooks sends it.
    presenter: &'static str,
}

/// One step in the processing of a recording.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct RecordingStep<'e> {
    record_id: &'e str,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    outcome: Option<StepOutcome<'e>>,
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct StepOutcome<'e> {
    success: bool,
    step_time: u64,
    workflow: &'e str,
    recording: serde_json::Value,
}

impl ServerEvent {
    /// Returns the event that reports a change; `base` is the address of playbacks.
    pub(super) fn of(reported: &TimedChange, base: &str) -> Self {
        let at_ms = reported.at_ms;
        match &reported.change {
            MemoryChange::Created(meeting) => Self::created(meeting, at_ms),
            MemoryChange::Joined(meeting, user) => Self::joined(meeting, user, at_ms),
            MemoryChange::Left(meeting, user) => Self::left(meeting, user, at_ms),
            MemoryChange::Ended(meeting) => Self::ended(&MeetingIds::from(&**meeting), at_ms),
            MemoryChange::RecordingReady(recording) => Self::published(recording, base, at_ms),
            MemoryChange::RecordingState(recording) => Self::changed(recording, at_ms),
        }
    }

    /// Returns the event of a meeting that was created.
    fn created(meeting: &ServerMeeting, now_ms: u64) -> Self {
        let details = MeetingDetails {
            name: &meeting.name,
            is_breakout: meeting.breakout.is_some(),
            parent_id: meeting.breakout.as_ref().map_or("bbb-none", |room| &room.parent_internal_id),
            duration: meeting.duration,
            create_time: meeting.create_time_ms,
            create_date: time::java_date(meeting.create_time_ms),
            moderator_pass: &meeting.moderator_password,
            viewer_pass: &meeting.attendee_password,
            record: meeting.record,
            voice_conf: format!("{:05}", meeting.voice_bridge),
            dial_number: &meeting.dial_number,
            max_users: meeting.max_participants,
            metadata: &meeting.metadata,
        };
        let ids = MeetingIds::from(meeting);
        let part = MeetingPart { details: Some(details), ..part_of(&ids) };
        let attributes = EventAttributes { meeting: part, ..EventAttributes::default() };
        Self::new("meeting-created", attributes, now_ms, &raw::created(meeting, now_ms))
    }

    /// Returns the event of a user who joined.
    fn joined(meeting: &MeetingIds, user: &MeetingUser, now_ms: u64) -> Self {
        let details = UserDetails { name: &user.full_name, role: user.role.name(), presenter: "false" };
        let part = UserPart { details: Some(details), ..user_part(user) };
        let attributes =
            EventAttributes { meeting: part_of(meeting), user: Some(part), ..EventAttributes::default() };
        Self::new("user-joined", attributes, now_ms, &raw::joined(meeting, user, now_ms))
    }

    /// Returns the event of a user who left.
    fn left(meeting: &MeetingIds, user: &MeetingUser, now_ms: u64) -> Self {
        let user_part = Some(user_part(user));
        let attributes =
            EventAttributes { meeting: part_of(meeting), user: user_part, ..EventAttributes::default() };
        Self::new("user-left", attributes, now_ms, &raw::left(meeting, user, now_ms))
    }

    /// Returns the event of a meeting that ended.
    fn ended(meeting: &MeetingIds, now_ms: u64) -> Self {
        let attributes = EventAttributes { meeting: part_of(meeting), ..EventAttributes::default() };
        Self::new("meeting-ended", attributes, now_ms, &raw::ended(meeting, now_ms))
    }

    /// Returns the event of a recording that was processed and published; `base` is the address of
    /// its playback.
    fn published(recording: &SimRecording, base: &str, now_ms: u64) -> Self {
        let outcome = raw::outcome(recording, base);
        let kind = recording.formats.first().map_or("presentation", |format| &format.kind);
        let step = RecordingStep {
            record_id: &recording.record_id,
            outcome: Some(StepOutcome {
                success: true,
                step_time: recording.formats.first().map_or(0, |format| format.processing_time_ms),
                workflow: kind,
                recording: outcome.clone(),
            }),
        };
        let raw = raw::of_recording("publish_ended", recording, &outcome, now_ms);
        Self::of_recording("rap-publish-ended", recording, step, now_ms, &raw)
    }

    /// Returns the event of a recording that a call published, unpublished or deleted.
    fn changed(recording: &SimRecording, now_ms: u64) -> Self {
        let (id, name) = match recording.state {
            SimRecordingState::Published => ("rap-published", "published"),
            SimRecordingState::Deleted => ("rap-deleted", "deleted"),
            _ => ("rap-unpublished", "unpublished"),
        };
        let step = RecordingStep { record_id: &recording.record_id, outcome: None };
        let raw = raw::of_recording(name, recording, &serde_json::json!({}), now_ms);
        Self::of_recording(id, recording, step, now_ms, &raw)
    }

    fn of_recording(
        id: &'static str,
        recording: &SimRecording,
        step: RecordingStep<'_>,
        now_ms: u64,
        raw: &serde_json::Value,
    ) -> Self {
        let meeting = MeetingPart {
            internal_meeting_id: &recording.record_id,
            external_meeting_id: &recording.meeting_id,
            details: None,
        };
        Self::new(
            id,
            EventAttributes { meeting, step: Some(step), ..EventAttributes::default() },
            now_ms,
            raw,
        )
    }

    fn new(id: &'static str, attributes: EventAttributes<'_>, ts: u64, raw: &serde_json::Value) -> Self {
        let meeting_id = attributes.meeting.external_meeting_id.to_owned();
        let mapped =
            MappedEvent { data: EventData { r#type: "event", id, attributes, event: EventTime { ts } } };
        // Serialization cannot fail: the values are texts, numbers and maps with texts as keys.
        let mapped = serde_json::to_string(&mapped).unwrap_or_default();
        Self { id, meeting_id, mapped, raw: raw.to_string() }
    }
}

fn part_of(meeting: &MeetingIds) -> MeetingPart<'_> {
    MeetingPart {
        internal_meeting_id: &meeting.internal_id,
        external_meeting_id: &meeting.external_id,
        details: None,
    }
}

fn user_part(user: &MeetingUser) -> UserPart<'_> {
    UserPart { internal_user_id: &user.internal_id, external_user_id: &user.external_id, details: None }
}
