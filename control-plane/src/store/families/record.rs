//! `meetings/TENANT/ID`: the records of meetings.

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, MeetingRecord, RecordState},
    voice::VoiceBridge,
};
use usher_proto::{store as pb, v1};

use super::{
    fields::{enumeration, internal_id, optional_internal_id},
    meeting_path,
};
use crate::store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError};

impl KeyFamily for MeetingRecord {
    const NAME: &'static str = "meetings";
    const KNOWN_FIELDS: u32 = 12;
    type Key = MeetingKey;
    type Message = pb::RecordValue;

    fn path(key: &MeetingKey) -> String {
        meeting_path::write(key)
    }

    fn parse(parts: &[&str]) -> Result<MeetingKey, KeyPartError> {
        match parts {
            [tenant, id] => meeting_path::parse(tenant, id),
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::RecordValue {
        let (state, create_time_ms) = match &self.state {
            RecordState::Pending => (v1::RecordState::Pending, 0),
            RecordState::Active { create_time_ms, .. } => (v1::RecordState::Active, *create_time_ms),
            RecordState::Ending { .. } => (v1::RecordState::Ending, 0),
        };
        pb::RecordValue {
            state: state as u32,
            server: self.server.to_string(),
            internal_id: self.state.internal_id().map(ToString::to_string).unwrap_or_default(),
            token: self.token.clone(),
            request_digest: self.request_digest.to_vec(),
            created_at_ms: self.created_at_ms,
            create_time_ms,
            max_users: self.max_users,
            size_hint: self.size_hint,
            voice_bridge: self.voice_bridge.map_or(0, VoiceBridge::number),
            breakout: self.breakout,
            unanswered: self.unanswered,
        }
    }

    fn from_message(_: &MeetingKey, value: pb::RecordValue) -> Result<Self, ValueError> {
        let state = match enumeration("state", value.state)? {
            v1::RecordState::Pending => RecordState::Pending,
            v1::RecordState::Active => RecordState::Active {
                internal_id: internal_id(&value.internal_id)?,
                create_time_ms: value.create_time_ms,
            },
            v1::RecordState::Ending => {
                RecordState::Ending { internal_id: optional_internal_id(&value.internal_id)? }
            }
            v1::RecordState::Unspecified => return Err(ValueError::Field("state")),
        };
        Ok(MeetingRecord {
            state,
            server: ServerId::parse(&value.server)
                .map_err(|source| ValueError::Id { field: "server", source })?,
            token: value.token,
            request_digest: value.request_digest.into_boxed_slice(),
            created_at_ms: value.created_at_ms,
            max_users: value.max_users,
            size_hint: value.size_hint,
            voice_bridge: VoiceBridge::new(value.voice_bridge),
            breakout: value.breakout,
            unanswered: value.unanswered,
        })
    }
}
