//! `tenants/ID`: the tenants.

use std::time::Duration;

use usher_bbb::secret::Secret;
use usher_model::{
    id::TenantId,
    request_mark::RequestMark,
    routing::TenantRoute,
    tenant::{ParameterRule, PresentationDocument, RuleAction, TenantPolicy},
    voice::VoiceRange,
};
use usher_proto::{store as pb, v1};

use super::fields::enumeration;
use crate::store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError};

impl KeyFamily for TenantRoute {
    const NAME: &'static str = "tenants";
    const KNOWN_FIELDS: u32 = 15;
    type Key = TenantId;
    type Message = pb::TenantValue;

    fn path(id: &TenantId) -> String {
        id.to_string()
    }

    fn parse(parts: &[&str]) -> Result<TenantId, KeyPartError> {
        match parts {
            [id] => Ok(TenantId::parse(id)?),
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::TenantValue {
        pb::TenantValue {
            secrets: self.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            hosts: self.hosts.clone(),
            enabled: self.enabled,
            create_rules: self.policy.create_rules.iter().map(rule_value).collect(),
            join_rules: self.policy.join_rules.iter().map(rule_value).collect(),
            max_duration_minutes: self.policy.max_duration.as_secs() / 60,
            max_meetings: self.policy.max_meetings,
            max_users: self.policy.max_users,
            max_cost: self.policy.max_cost,
            server_tag: self.policy.server_tag.clone(),
            presentation: self.policy.presentation.as_ref().map(|shown| pb::PresentationValue {
                url: shown.url.clone(),
                name: shown.name.clone(),
                forced: shown.forced,
            }),
            voice_bridges: self
                .policy
                .voice_bridges
                .map(|range| pb::VoiceRangeValue { first: range.first(), last: range.last() }),
            dial_number: self.policy.dial_number.clone(),
            partial_recordings: self.policy.partial_recordings,
            created_by: RequestMark::to_stored(self.created_by),
        }
    }

    fn from_message(id: &TenantId, value: pb::TenantValue) -> Result<Self, ValueError> {
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
            voice_bridges: value
                .voice_bridges
                .and_then(|range| VoiceRange::new(range.first, range.last).ok()),
            dial_number: value.dial_number,
            partial_recordings: value.partial_recordings,
        };
        Ok(TenantRoute {
            id: id.clone(),
            secrets: value.secrets.iter().map(|secret| Secret::new(secret)).collect(),
            hosts: value.hosts,
            enabled: value.enabled,
            policy,
            users: 0,
            created_by: RequestMark::from_stored(&value.created_by),
        })
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
