//! Values of servers and tenants.

use std::time::Duration;

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    request_mark::RequestMark,
    routing::TenantRoute,
    server::{AdminState, HealthRecord, SampledMeeting, Server, ServerSample},
    tenant::{ParameterRule, PresentationDocument, RuleAction, TenantPolicy},
    voice::{VoiceBridge, VoiceRange},
};
use usher_proto::{store as pb, v1};

use super::value_error::ValueError;

/// Reads an enumeration that is stored as a plain number.
///
/// # Errors
/// The number is not a value of the enumeration.
pub(super) fn enumeration<E: TryFrom<i32>>(field: &'static str, number: u32) -> Result<E, ValueError> {
    i32::try_from(number).ok().and_then(|number| E::try_from(number).ok()).ok_or(ValueError::Field(field))
}

pub(super) fn server_value(server: &Server) -> pb::ServerValue {
    pb::ServerValue {
        url: server.url.clone(),
        secret: server.secret.expose().to_owned(),
        weight: server.weight,
        tags: server.tags.clone(),
        admin_state: v1::AdminState::from(server.admin) as u32,
        checksum_algorithm: v1::ChecksumAlgorithm::from(server.algorithm) as u32,
        created_at_ms: server.created_at_ms,
        former_of: server.former_of.as_ref().map(ToString::to_string).unwrap_or_default(),
        created_by: RequestMark::to_stored(server.created_by),
    }
}

pub(super) fn server(id: ServerId, value: pb::ServerValue) -> Result<Server, ValueError> {
    if !(value.weight.is_finite() && value.weight > 0.0) {
        return Err(ValueError::Field("weight"));
    }
    let admin: v1::AdminState = enumeration("admin_state", value.admin_state)?;
    let algorithm: v1::ChecksumAlgorithm = enumeration("checksum_algorithm", value.checksum_algorithm)?;
    let former_of = (!value.former_of.is_empty()).then(|| ServerId::parse(&value.former_of)).transpose();
    Ok(Server {
        id,
        url: value.url,
        secret: Secret::new(&value.secret),
        weight: value.weight,
        tags: value.tags,
        admin: AdminState::try_from(admin).map_err(|_| ValueError::Field("admin_state"))?,
        algorithm: ChecksumAlgorithm::from(algorithm),
        created_at_ms: value.created_at_ms,
        former_of: former_of.map_err(|_| ValueError::Field("former_of"))?,
        created_by: RequestMark::from_stored(&value.created_by),
    })
}

pub(super) fn health_value(health: &HealthRecord) -> pb::HealthValue {
    pb::HealthValue {
        recover: health.recover,
        error: health.error,
        since_ms: health.since_ms,
        reason: health.reason.clone(),
        flapped_at_ms: health.flapped_at_ms.clone(),
        stood_ms: health.stood_ms,
        calls_failed_at_ms: health.calls_failed_at_ms.clone(),
    }
}

pub(super) fn health(value: pb::HealthValue) -> HealthRecord {
    HealthRecord {
        recover: value.recover,
        error: value.error,
        since_ms: value.since_ms,
        reason: value.reason,
        flapped_at_ms: value.flapped_at_ms,
        stood_ms: value.stood_ms,
        calls_failed_at_ms: value.calls_failed_at_ms,
    }
}

pub(super) fn tenant_value(tenant: &TenantRoute) -> pb::TenantValue {
    pb::TenantValue {
        secrets: tenant.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
        hosts: tenant.hosts.clone(),
        enabled: tenant.enabled,
        create_rules: tenant.policy.create_rules.iter().map(rule_value).collect(),
        join_rules: tenant.policy.join_rules.iter().map(rule_value).collect(),
        max_duration_minutes: tenant.policy.max_duration.as_secs() / 60,
        max_meetings: tenant.policy.max_meetings,
        max_users: tenant.policy.max_users,
        max_cost: tenant.policy.max_cost,
        server_tag: tenant.policy.server_tag.clone(),
        presentation: tenant.policy.presentation.as_ref().map(|shown| pb::PresentationValue {
            url: shown.url.clone(),
            name: shown.name.clone(),
            forced: shown.forced,
        }),
        voice_bridges: tenant
            .policy
            .voice_bridges
            .map(|range| pb::VoiceRangeValue { first: range.first(), last: range.last() }),
        dial_number: tenant.policy.dial_number.clone(),
        partial_recordings: tenant.policy.partial_recordings,
        created_by: RequestMark::to_stored(tenant.created_by),
    }
}

pub(super) fn tenant(id: TenantId, value: pb::TenantValue) -> TenantRoute {
    let policy = TenantPolicy {
        create_rules: value.create_rules.iter().filter_map(rule).collect(),
        join_rules: value.join_rules.iter().filter_map(rule).collect(),
        max_duration: Duration::from_secs(value.max_duration_minutes.saturating_mul(60)),
        max_meetings: value.max_meetings,
        max_users: value.max_users,
        max_cost: value.max_cost,
        server_tag: value.server_tag,
        presentation: value.presentation.map(|shown| PresentationDocument {
            url: shown.url,
            name: shown.name,
            forced: shown.forced,
        }),
        voice_bridges: value.voice_bridges.and_then(|range| VoiceRange::new(range.first, range.last).ok()),
        dial_number: value.dial_number,
        partial_recordings: value.partial_recordings,
    };
    TenantRoute {
        id,
        secrets: value.secrets.iter().map(|secret| Secret::new(secret)).collect(),
        hosts: value.hosts,
        enabled: value.enabled,
        policy,
        users: 0,
        created_by: RequestMark::from_stored(&value.created_by),
    }
}

fn rule_value(rule: &ParameterRule) -> pb::ParameterRuleValue {
    pb::ParameterRuleValue {
        parameter: rule.parameter.clone(),
        action: v1::ParameterAction::from(rule.action) as u32,
        value: rule.value.clone(),
    }
}

/// Reads a rule; `None` for a rule of a newer version that this version does not know.
fn rule(value: &pb::ParameterRuleValue) -> Option<ParameterRule> {
    let action: v1::ParameterAction = enumeration("rules.action", value.action).ok()?;
    ParameterRule::new(RuleAction::try_from(action).ok()?, &value.parameter, &value.value).ok()
}

pub(super) fn sample_value(sample: &ServerSample) -> pb::SampleValue {
    pb::SampleValue {
        watermark: sample.watermark,
        taken_at_ms: sample.taken_at_ms,
        meetings: sample.meetings.iter().map(sampled_value).collect(),
        bbb_version: sample.bbb_version.clone(),
        term: sample.term,
    }
}

pub(super) fn sample(value: pb::SampleValue) -> Result<ServerSample, ValueError> {
    Ok(ServerSample {
        watermark: value.watermark,
        taken_at_ms: value.taken_at_ms,
        meetings: value.meetings.into_iter().map(sampled).collect::<Result<_, _>>()?,
        bbb_version: value.bbb_version,
        term: value.term,
    })
}

fn sampled_value(meeting: &SampledMeeting) -> pb::SampledMeetingValue {
    let (tenant, id) = match &meeting.key {
        Some(key) => (key.tenant.to_string(), key.meeting.to_string()),
        None => (String::new(), meeting.external_id.clone()),
    };
    let external_id = if id == meeting.external_id { String::new() } else { meeting.external_id.clone() };
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
    let claim = Some(value.claim).filter(|name| !name.is_empty()).map(|name| TenantId::parse(&name));
    Ok(SampledMeeting {
        key,
        claim: claim.transpose().map_err(|source| ValueError::Id { field: "meetings.claim", source })?,
        external_id: if value.external_id.is_empty() { value.meeting_id } else { value.external_id },
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
