//! `voice/NUMBER`: the meetings that have the voice bridges.

use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    voice::VoiceBridge,
};
use usher_proto::store as pb;

use crate::{
    core::voice::VoiceAssignment,
    store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError},
};

impl KeyFamily for VoiceAssignment {
    const NAME: &'static str = "voice";
    const KNOWN_FIELDS: u32 = 3;
    type Key = VoiceBridge;
    type Message = pb::VoiceValue;

    fn path(bridge: &VoiceBridge) -> String {
        bridge.to_string()
    }

    fn parse(parts: &[&str]) -> Result<VoiceBridge, KeyPartError> {
        match parts {
            [number] => VoiceBridge::parse(number).ok_or(KeyPartError::Form),
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::VoiceValue {
        pb::VoiceValue {
            tenant: self.meeting.tenant.to_string(),
            meeting_id: self.meeting.meeting.to_string(),
            used_at_ms: self.used_at_ms,
        }
    }

    fn from_message(_: &VoiceBridge, value: pb::VoiceValue) -> Result<Self, ValueError> {
        let tenant = TenantId::parse(&value.tenant);
        let tenant = tenant.map_err(|source| ValueError::Id { field: "tenant", source })?;
        let meeting = MeetingId::parse(&value.meeting_id);
        let meeting = meeting.map_err(|source| ValueError::Id { field: "meeting_id", source })?;
        Ok(VoiceAssignment { meeting: MeetingKey::new(tenant, meeting), used_at_ms: value.used_at_ms })
    }
}
