//! Conversions of the policy of a tenant.

use super::{ConvertError, v1};
use crate::time::{duration, parse_duration};
use usher_model::{
    tenant::{ParameterRule, PresentationDocument, RuleAction, TenantPolicy},
    voice::VoiceRange,
};

impl From<RuleAction> for v1::ParameterAction {
    fn from(action: RuleAction) -> Self {
        match action {
            RuleAction::Remove => Self::Remove,
            RuleAction::Default => Self::Default,
            RuleAction::Override => Self::Override,
            RuleAction::Merge => Self::Merge,
            RuleAction::Cap => Self::Cap,
        }
    }
}

impl TryFrom<v1::ParameterAction> for RuleAction {
    type Error = ConvertError;
    fn try_from(action: v1::ParameterAction) -> Result<Self, ConvertError> {
        match action {
            v1::ParameterAction::Remove => Ok(Self::Remove),
            v1::ParameterAction::Default => Ok(Self::Default),
            v1::ParameterAction::Override => Ok(Self::Override),
            v1::ParameterAction::Merge => Ok(Self::Merge),
            v1::ParameterAction::Cap => Ok(Self::Cap),
            v1::ParameterAction::Unspecified => Err(ConvertError::UnknownValue("action")),
        }
    }
}

impl From<&ParameterRule> for v1::ParameterRule {
    fn from(rule: &ParameterRule) -> Self {
        Self {
            parameter: rule.parameter.clone(),
            action: v1::ParameterAction::from(rule.action).into(),
            value: rule.value.clone(),
        }
    }
}

impl From<&PresentationDocument> for v1::Presentation {
    fn from(shown: &PresentationDocument) -> Self {
        Self { url: shown.url.clone(), file_name: shown.name.clone(), forced: shown.forced }
    }
}

impl From<v1::Presentation> for PresentationDocument {
    fn from(shown: v1::Presentation) -> Self {
        Self { url: shown.url, name: shown.file_name, forced: shown.forced }
    }
}

impl From<&TenantPolicy> for v1::TenantPolicy {
    fn from(policy: &TenantPolicy) -> Self {
        Self {
            create_rules: policy.create_rules.iter().map(Into::into).collect(),
            join_rules: policy.join_rules.iter().map(Into::into).collect(),
            max_duration: (!policy.max_duration.is_zero()).then(|| duration(policy.max_duration)),
            max_meetings: policy.max_meetings,
            max_users: policy.max_users,
            max_cost: policy.max_cost,
            server_tag: policy.server_tag.clone(),
            presentation: policy.presentation.as_ref().map(Into::into),
            voice_bridges: policy
                .voice_bridges
                .map(|range| v1::VoiceRange { first: range.first(), last: range.last() }),
            dial_number: policy.dial_number.clone(),
            partial_recordings: policy.partial_recordings,
        }
    }
}

/// Converts a policy that was checked when it was accepted. A rule that this version does not know is left out,
/// because a tenant with one rule less is better than no tenant.
impl From<v1::TenantPolicy> for TenantPolicy {
    fn from(policy: v1::TenantPolicy) -> Self {
        let known = |rule: &v1::ParameterRule| {
            let action = RuleAction::try_from(rule.action()).ok()?;
            ParameterRule::new(action, &rule.parameter, &rule.value).ok()
        };
        let max_duration = policy.max_duration.as_ref().and_then(|wire| parse_duration(wire).ok());
        Self {
            create_rules: policy.create_rules.iter().filter_map(known).collect(),
            join_rules: policy.join_rules.iter().filter_map(known).collect(),
            max_duration: Self::whole_minutes(max_duration.unwrap_or_default()),
            max_meetings: policy.max_meetings,
            max_users: policy.max_users,
            max_cost: policy.max_cost,
            server_tag: policy.server_tag,
            presentation: policy.presentation.map(Into::into),
            voice_bridges: policy
                .voice_bridges
                .and_then(|range| VoiceRange::new(range.first, range.last).ok()),
            dial_number: policy.dial_number,
            partial_recordings: policy.partial_recordings,
        }
    }
}
