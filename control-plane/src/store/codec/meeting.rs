//! Values of meetings: records, zombies and voice bridges.

use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieState},
    voice::VoiceBridge,
};
use usher_proto::{store as pb, v1};

use super::{fleet::enumeration, value_error::ValueError};
use crate::core::voice::VoiceAssignment;

pub(super) fn record_value(record: &MeetingRecord) -> pb::RecordValue {
    let (state, create_time_ms) = match &record.state {
        RecordState::Pending => (v1::RecordState::Pending, 0),
        RecordState::Active { create_time_ms, .. } => (v1::RecordState::Active, *create_time_ms),
        RecordState::Ending { .. } => (v1::RecordState::Ending, 0),
    };
    pb::RecordValue {
        state: state as u32,
        server: record.server.to_string(),
        internal_id: record.state.internal_id().map(ToString::to_string).unwrap_or_default(),
        token: record.token.clone(),
        request_digest: record.request_digest.clone(),
        created_at_ms: record.created_at_ms,
        create_time_ms,
        max_users: record.max_users,
        size_hint: record.size_hint,
        voice_bridge: record.voice_bridge.map_or(0, VoiceBridge::number),
        breakout: record.breakout,
        unanswered: record.unanswered,
    }
}

pub(super) fn record(value: pb::RecordValue) -> Result<MeetingRecord, ValueError> {
    let state = match enumeration("state", value.state)? {
        v1::RecordState::Pending => RecordState::Pending,
        v1::RecordState::Active => RecordState::Active {
            internal_id: internal_id(&value.internal_id)?,
            create_time_ms: value.create_time_ms,
        },
        v1::RecordState::Ending => RecordState::Ending { internal_id: optional(&value.internal_id)? },
        v1::RecordState::Unspecified => return Err(ValueError::Field("state")),
    };
    Ok(MeetingRecord {
        state,
        server: ServerId::parse(&value.server)
            .map_err(|source| ValueError::Id { field: "server", source })?,
        token: value.token,
        request_digest: value.request_digest,
        created_at_ms: value.created_at_ms,
        max_users: value.max_users,
        size_hint: value.size_hint,
        voice_bridge: VoiceBridge::new(value.voice_bridge),
        breakout: value.breakout,
        unanswered: value.unanswered,
    })
}

pub(super) fn zombie_value(zombie: &Zombie) -> pb::ZombieValue {
    let state = match zombie.state {
        ZombieState::Waiting => v1::ZombieState::Waiting,
        ZombieState::Due => v1::ZombieState::Due,
        ZombieState::Ending => v1::ZombieState::Ending,
    };
    pb::ZombieValue {
        state: state as u32,
        internal_id: zombie.internal_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason: zombie.reason.clone(),
        since_ms: zombie.since_ms,
        stood_ms: zombie.stood_ms,
    }
}

pub(super) fn zombie(value: pb::ZombieValue) -> Result<Zombie, ValueError> {
    let state = match enumeration("state", value.state)? {
        v1::ZombieState::Waiting => ZombieState::Waiting,
        v1::ZombieState::Due => ZombieState::Due,
        v1::ZombieState::Ending => ZombieState::Ending,
        v1::ZombieState::Unspecified => return Err(ValueError::Field("state")),
    };
    Ok(Zombie {
        state,
        internal_id: optional(&value.internal_id)?,
        reason: value.reason,
        since_ms: value.since_ms,
        stood_ms: value.stood_ms,
    })
}

pub(super) fn voice_value(assignment: &VoiceAssignment) -> pb::VoiceValue {
    pb::VoiceValue {
        tenant: assignment.meeting.tenant.to_string(),
        meeting_id: assignment.meeting.meeting.to_string(),
        used_at_ms: assignment.used_at_ms,
    }
}

pub(super) fn voice(value: pb::VoiceValue) -> Result<VoiceAssignment, ValueError> {
    let tenant = TenantId::parse(&value.tenant);
    let tenant = tenant.map_err(|source| ValueError::Id { field: "tenant", source })?;
    let meeting = MeetingId::parse(&value.meeting_id);
    let meeting = meeting.map_err(|source| ValueError::Id { field: "meeting_id", source })?;
    Ok(VoiceAssignment { meeting: MeetingKey::new(tenant, meeting), used_at_ms: value.used_at_ms })
}

fn internal_id(text: &str) -> Result<InternalMeetingId, ValueError> {
    InternalMeetingId::parse(text).map_err(|source| ValueError::Id { field: "internal_id", source })
}

fn optional(text: &str) -> Result<Option<InternalMeetingId>, ValueError> {
    if text.is_empty() { Ok(None) } else { internal_id(text).map(Some) }
}
