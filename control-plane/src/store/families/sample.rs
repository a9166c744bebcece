//! `load/ID`: the last polls of the servers.

use usher_model::{
    id::{InternalMeetingId, ListedMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    server::{SampledMeeting, ServerSample},
    voice::VoiceBridge,
};
use usher_proto::store as pb;

use crate::store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError};

impl KeyFamily for ServerSample {
    const NAME: &'static str = "load";
    const KNOWN_FIELDS: u32 = 5;
    type Key = ServerId;
    type Message = pb::SampleValue;

    fn path(id: &ServerId) -> String {
        id.to_string()
    }

    fn parse(parts: &[&str]) -> Result<ServerId, KeyPartError> {
        match parts {
            [id] => Ok(ServerId::parse(id)?),
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::SampleValue {
        pb::SampleValue {
            watermark: self.watermark,
            taken_at_ms: self.taken_at_ms,
            meetings: self.meetings.iter().map(sampled_value).collect(),
            bbb_version: self.bbb_version.clone(),
            term: self.term,
        }
    }

    fn from_message(_: &ServerId, value: pb::SampleValue) -> Result<Self, ValueError> {
        // `collect` would reuse the list of the messages, which is more than twice as large.
        let mut meetings = Vec::with_capacity(value.meetings.len());
        for meeting in value.meetings {
            meetings.push(sampled(meeting)?);
        }
        Ok(ServerSample {
            watermark: value.watermark,
            taken_at_ms: value.taken_at_ms,
            meetings,
            bbb_version: value.bbb_version,
            term: value.term,
        })
    }
}

fn sampled_value(meeting: &SampledMeeting) -> pb::SampledMeetingValue {
    let (tenant, id) = match &meeting.key {
        Some(key) => (key.tenant.to_string(), key.meeting.to_string()),
        None => (String::new(), meeting.external_id.to_string()),
    };
    let external_id =
        if id == meeting.external_id.as_str() { String::new() } else { meeting.external_id.to_string() };
    pb::SampledMeetingValue {
        tenant,
        meeting_id: id,
        internal_id: meeting.internal_id.to_string(),
        participants: meeting.participants,
        age_ms: meeting.age_ms,
        max_users: meeting.max_users,
        size_hint: meeting.size_hint,
        breakout: meeting.breakout,
        external_id,
        claim: meeting.claim.as_ref().map(ToString::to_string).unwrap_or_default(),
        voice_bridge: meeting.voice_bridge.map_or(0, VoiceBridge::number),
        named: meeting.named,
    }
}

fn sampled(value: pb::SampledMeetingValue) -> Result<SampledMeeting, ValueError> {
    let key = if value.tenant.is_empty() {
        None
    } else {
        Some(MeetingKey::new(
            TenantId::parse(&value.tenant)
                .map_err(|source| ValueError::Id { field: "meetings.tenant", source })?,
            MeetingId::parse(&value.meeting_id)
                .map_err(|source| ValueError::Id { field: "meetings.meeting_id", source })?,
        ))
    };
    let external_id = match &key {
        Some(key) if value.external_id.is_empty() => ListedMeetingId::from(&key.meeting),
        None if value.external_id.is_empty() => value.meeting_id.as_str().into(),
        _ => value.external_id.as_str().into(),
    };
    let claim = Some(value.claim).filter(|name| !name.is_empty()).map(|name| TenantId::parse(&name));
    Ok(SampledMeeting {
        key,
        claim: claim.transpose().map_err(|source| ValueError::Id { field: "meetings.claim", source })?,
        external_id,
        internal_id: InternalMeetingId::parse(&value.internal_id)
            .map_err(|source| ValueError::Id { field: "meetings.internal_id", source })?,
        participants: value.participants,
        age_ms: value.age_ms,
        max_users: value.max_users,
        size_hint: value.size_hint,
        breakout: value.breakout,
        named: value.named,
        voice_bridge: VoiceBridge::new(value.voice_bridge),
        moderator_password: None,
    })
}
