//! Conversion of meetings and zombies into messages.

use usher_model::{
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::Health,
};
use usher_proto::{time::timestamp, v1};

use crate::{core::fleet::Fleet, grpc::name};

/// Returns the time at which a meeting was created, milliseconds since 1970.
pub(super) fn created_ms(record: &MeetingRecord) -> i64 {
    match &record.state {
        RecordState::Active { create_time_ms, .. } => *create_time_ms,
        RecordState::Pending | RecordState::Ending { .. } => record.created_at_ms,
    }
}

/// Returns the number of participants that the last poll listed for a meeting.
pub(super) fn participants(fleet: &Fleet, record: &MeetingRecord) -> u32 {
    let server = fleet.server(&record.server);
    let listed = server.zip(record.state.internal_id()).and_then(|(server, id)| server.listed(id));
    listed.map_or(0, |listed| listed.participants)
}

/// Converts a meeting.
pub(super) fn meeting(fleet: &Fleet, key: &MeetingKey, record: &MeetingRecord) -> v1::Meeting {
    let server = fleet.server(&record.server);
    let state = match &record.state {
        RecordState::Pending => v1::RecordState::Pending,
        RecordState::Active { .. } => v1::RecordState::Active,
        RecordState::Ending { .. } => v1::RecordState::Ending,
    };
    v1::Meeting {
        name: name::meeting(key),
        tenant: name::tenant(&key.tenant),
        meeting_id: key.meeting.to_string(),
        server: name::server(&record.server),
        state: state.into(),
        internal_id: record.state.internal_id().map(ToString::to_string).unwrap_or_default(),
        create_time: Some(timestamp(created_ms(record))),
        detached: server.is_none_or(|server| server.health() == Health::Offline),
        participants: participants(fleet, record),
        breakout: record.breakout,
    }
}

/// Converts a zombie.
pub(super) fn zombie(key: &ZombieKey, zombie: &Zombie) -> v1::Zombie {
    let state = match zombie.state {
        ZombieState::Waiting => v1::ZombieState::Waiting,
        ZombieState::Due => v1::ZombieState::Due,
        ZombieState::Ending => v1::ZombieState::Ending,
    };
    v1::Zombie {
        name: name::zombie(key),
        tenant: name::tenant(&key.meeting.tenant),
        meeting: name::meeting(&key.meeting),
        meeting_id: key.meeting.meeting.to_string(),
        server: name::server(&key.server),
        internal_id: zombie.internal_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        state: state.into(),
        reason: zombie.reason.clone(),
        since_time: Some(timestamp(zombie.since_ms)),
    }
}
