//! The messages of the server's bus: those of its applications, and those of its recording scripts,
//! which have another form.

use serde_json::{Value, json};

use crate::{
    memory::{MeetingIds, MeetingUser, ServerMeeting},
    recording::SimRecording,
    time,
};

pub(super) fn created(meeting: &ServerMeeting, now_ms: u64) -> Value {
    let bridge = format!("{:05}", meeting.voice_bridge);
    let parent = meeting.breakout.as_ref().map_or("bbb-none", |room| &room.parent_internal_id);
    let body = json!({ "props": {
        "meetingProp": {
            "name": meeting.name, "extId": meeting.external_id, "intId": meeting.internal_id,
            "isBreakout": meeting.breakout.is_some(),
        },
        "breakoutProps": {
            "parentId": parent,
            "sequence": meeting.breakout.as_ref().map_or(0, |room| room.sequence),
            "freeJoin": meeting.breakout.as_ref().is_some_and(|room| room.free_join),
        },
        "durationProps": {
            "duration": meeting.duration, "createdTime": meeting.create_time_ms,
            "createdDate": time::java_date(meeting.create_time_ms),
        },
        "password": { "moderatorPass": meeting.moderator_password, "viewerPass": meeting.attendee_password },
        "recordProp": { "record": meeting.record, "keepEvents": meeting.keep_events },
        "voiceProp": { "telVoice": bridge, "voiceConf": bridge, "dialNumber": meeting.dial_number },
        "usersProp": { "maxUsers": meeting.max_participants, "guestPolicy": meeting.guest_policy },
        "metadataProp": { "metadata": meeting.metadata },
    }});
    of_server("MeetingCreatedEvtMsg", &body, now_ms)
}

pub(super) fn ended(meeting: &MeetingIds, now_ms: u64) -> Value {
    of_server("MeetingDestroyedEvtMsg", &json!({ "meetingId": meeting.internal_id }), now_ms)
}

pub(super) fn joined(meeting: &MeetingIds, user: &MeetingUser, now_ms: u64) -> Value {
    let body = json!({
        "intId": user.internal_id, "extId": user.external_id, "name": user.full_name,
        "role": user.role.name(), "guest": false, "authed": true, "guestStatus": "ALLOW", "presenter": false,
        "clientType": "HTML5",
    });
    of_user("UserJoinedMeetingEvtMsg", meeting, user, &body, now_ms)
}

pub(super) fn left(meeting: &MeetingIds, user: &MeetingUser, now_ms: u64) -> Value {
    let body = json!({
        "intId": user.internal_id, "eject": false, "ejectedBy": "", "reason": "", "reasonCode": "",
    });
    of_user("UserLeftMeetingEvtMsg", meeting, user, &body, now_ms)
}

/// Returns the result of one step of the recording scripts.
pub(super) fn outcome(recording: &SimRecording, base: &str) -> Value {
    let format = recording.formats.first();
    let kind = format.map_or("presentation", |format| &format.kind);
    let size = format.map_or(0, |format| format.size);
    let metadata: serde_json::Map<String, Value> =
        recording.metadata.iter().map(|(key, value)| (key.clone(), value.clone().into())).collect();
    json!({
        "name": recording.name, "is-breakout": recording.breakout.is_some(),
        "start-time": recording.start_time_ms, "end-time": recording.end_time_ms,
        "size": size, "raw-size": size * 2, "metadata": metadata,
        "playback": {
            "format": kind, "link": format!("{base}/playback/{kind}/2.3/{}", recording.record_id),
            "size": size,
        },
        "download": {},
    })
}

pub(super) fn of_recording(name: &str, recording: &SimRecording, outcome: &Value, now_ms: u64) -> Value {
    json!({
        "header": { "timestamp": now_ms, "name": name, "current_time": now_ms, "version": "0.0.1" },
        "payload": {
            "success": true, "meeting_id": recording.record_id, "record_id": recording.record_id,
            "external_meeting_id": recording.meeting_id, "recording": outcome,
        },
    })
}

fn of_server(name: &str, body: &Value, now_ms: u64) -> Value {
    json!({
        "envelope": { "name": name, "routing": { "sender": "bbb-apps-akka" }, "timestamp": now_ms },
        "core": { "header": { "name": name }, "body": body },
    })
}

fn of_user(name: &str, meeting: &MeetingIds, user: &MeetingUser, body: &Value, now_ms: u64) -> Value {
    let ids = json!({ "meetingId": meeting.internal_id, "userId": user.internal_id });
    json!({
        "envelope": {
            "name": name, "timestamp": now_ms,
            "routing": {
                "msgType": "BROADCAST_TO_MEETING", "meetingId": ids["meetingId"], "userId": ids["userId"],
            },
        },
        "core": {
            "header": { "name": name, "meetingId": ids["meetingId"], "userId": ids["userId"] }, "body": body,
        },
    })
}
