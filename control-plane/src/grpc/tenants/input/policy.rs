//! Conversion of operators' messages into policies.

use std::time::Duration;

use usher_model::{
    tenant::{ParameterRule, PresentationDocument, RuleAction, TenantPolicy},
    voice::VoiceRange,
};
use usher_proto::{time::parse_duration, v1};

use crate::{core::placement::TagWish, grpc::status::RequestViolation};

/// The fields of a policy that an update may name, each as `policy.NAME`.
pub(super) const FIELDS: [&str; 11] = [
    "policy.create_rules",
    "policy.join_rules",
    "policy.max_duration",
    "policy.max_meetings",
    "policy.max_users",
    "policy.max_cost",
    "policy.server_tag",
    "policy.presentation",
    "policy.voice_bridges",
    "policy.dial_number",
    "policy.partial_recordings",
];
/// Largest number of rules for one call; every create or join of the tenant applies all of them.
const MAX_RULES: usize = 100;
/// Longest limit of a duration. BBB counts minutes.
const MAX_DURATION: Duration = Duration::from_hours(24 * 365);
/// Longest server tag in bytes, alternatives included.
const MAX_TAG: usize = 256;
/// Longest telephone number in bytes, punctuation included.
const MAX_DIAL_NUMBER: usize = 64;

/// Reads a whole policy, and adds every fault to `faults`.
pub(super) fn policy(wire: v1::TenantPolicy, faults: &mut Vec<RequestViolation>) -> TenantPolicy {
    let mut fault = |field: &str, problem: String| {
        faults.push(RequestViolation::new(&format!("tenant.policy.{field}"), problem));
    };
    let create_rules =
        rules(wire.create_rules).unwrap_or_else(|problem| none(&mut fault, "create_rules", problem));
    let join_rules = rules(wire.join_rules).unwrap_or_else(|problem| none(&mut fault, "join_rules", problem));
    let max_duration =
        duration(wire.max_duration).unwrap_or_else(|problem| none(&mut fault, "max_duration", problem));
    let server_tag = tag(&wire.server_tag).unwrap_or_else(|problem| none(&mut fault, "server_tag", problem));
    let presentation = wire.presentation.map(presentation).transpose();
    let presentation = presentation.unwrap_or_else(|problem| none(&mut fault, "presentation.url", problem));
    let range = wire.voice_bridges.map(|range| VoiceRange::new(range.first, range.last)).transpose();
    let voice_bridges = range.unwrap_or_else(|error| none(&mut fault, "voice_bridges", error.to_string()));
    let dial_number =
        dial_number(&wire.dial_number).unwrap_or_else(|problem| none(&mut fault, "dial_number", problem));
    TenantPolicy {
        create_rules,
        join_rules,
        max_duration,
        max_meetings: wire.max_meetings,
        max_users: wire.max_users,
        max_cost: wire.max_cost,
        server_tag,
        presentation,
        voice_bridges,
        dial_number,
        partial_recordings: wire.partial_recordings,
    }
}

fn none<T: Default>(fault: &mut impl FnMut(&str, String), field: &str, problem: String) -> T {
    fault(field, problem);
    T::default()
}

/// Returns `old` with the named fields of `new`.
pub(super) fn updated(old: &TenantPolicy, new: &TenantPolicy, named: impl Fn(&str) -> bool) -> TenantPolicy {
    let pick = |field: &str| if named(field) { new } else { old };
    TenantPolicy {
        create_rules: pick("policy.create_rules").create_rules.clone(),
        join_rules: pick("policy.join_rules").join_rules.clone(),
        max_duration: pick("policy.max_duration").max_duration,
        max_meetings: pick("policy.max_meetings").max_meetings,
        max_users: pick("policy.max_users").max_users,
        max_cost: pick("policy.max_cost").max_cost,
        server_tag: pick("policy.server_tag").server_tag.clone(),
        presentation: pick("policy.presentation").presentation.clone(),
        voice_bridges: pick("policy.voice_bridges").voice_bridges,
        dial_number: pick("policy.dial_number").dial_number.clone(),
        partial_recordings: pick("policy.partial_recordings").partial_recordings,
    }
}

fn rules(wire: Vec<v1::ParameterRule>) -> Result<Vec<ParameterRule>, String> {
    if wire.len() > MAX_RULES {
        return Err(format!("holds more than {MAX_RULES} rules"));
    }
    let mut rules: Vec<ParameterRule> = Vec::with_capacity(wire.len());
    for given in wire {
        let action = RuleAction::try_from(given.action())
            .map_err(|_| format!("the rule for `{}` has no known action", given.parameter))?;
        let rule = ParameterRule::new(action, &given.parameter, &given.value)
            .map_err(|error| format!("the rule for `{}`: {error}", given.parameter))?;
        if rules.iter().any(|other| other.action == action && other.parameter == rule.parameter) {
            return Err(format!("holds two rules {}:{}", action.name(), rule.parameter));
        }
        rules.push(rule);
    }
    Ok(rules)
}

fn duration(wire: Option<prost_types::Duration>) -> Result<Duration, String> {
    let duration = wire.as_ref().map_or(Ok(Duration::ZERO), parse_duration);
    let duration = duration.map_err(|error| error.to_string())?;
    if duration > MAX_DURATION {
        return Err("must be a duration of at most a year; 0 means no limit".into());
    }
    Ok(TenantPolicy::whole_minutes(duration))
}

fn tag(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_TAG || text.chars().any(char::is_control) {
        return Err(format!("has at most {MAX_TAG} characters, none of them a control"));
    }
    if !text.is_empty() && !TagWish::parse(text).is_some() {
        return Err("names no tag; write it as `gpu`, `gpu!` or `gpu;big!`".into());
    }
    Ok(text.to_owned())
}

fn dial_number(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.len() > MAX_DIAL_NUMBER || text.chars().any(char::is_control) {
        return Err(format!("has at most {MAX_DIAL_NUMBER} bytes, none of them a control"));
    }
    Ok(text.to_owned())
}

fn presentation(wire: v1::Presentation) -> Result<PresentationDocument, String> {
    let url = wire.url.trim();
    match url::Url::parse(url) {
        Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host() => {
            Ok(PresentationDocument {
                url: url.to_owned(),
                name: wire.file_name.trim().to_owned(),
                forced: wire.forced,
            })
        }
        _ => Err("must be a web address, for example `https://school.example/welcome.pdf`".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(wire: v1::TenantPolicy) -> Vec<String> {
        let mut faults = Vec::new();
        policy(wire, &mut faults);
        faults.into_iter().map(|fault| fault.field).collect()
    }

    fn rule(text: &str) -> v1::ParameterRule {
        (&text.parse::<ParameterRule>().unwrap()).into()
    }

    #[test]
    fn every_fault_of_a_policy_is_named_at_once() {
        let bad = v1::TenantPolicy {
            create_rules: vec![v1::ParameterRule { parameter: "x".into(), ..Default::default() }],
            join_rules: vec![rule("default:a=1"), rule("default:a=2")],
            max_duration: Some(prost_types::Duration { seconds: -1, nanos: 0 }),
            server_tag: "!".into(),
            presentation: Some(v1::Presentation { url: "file:///etc/passwd".into(), ..Default::default() }),
            voice_bridges: Some(v1::VoiceRange { first: 1, last: 9 }),
            dial_number: "+49 30\n1".into(),
            ..Default::default()
        };
        let named = [
            "create_rules",
            "join_rules",
            "max_duration",
            "server_tag",
            "presentation.url",
            "voice_bridges",
            "dial_number",
        ];
        assert_eq!(fields(bad), named.map(|field| format!("tenant.policy.{field}")));
        assert!(fields(v1::TenantPolicy::default()).is_empty());
    }

    #[test]
    fn a_policy_reads_back_and_a_part_of_it_is_updated() {
        let wire = v1::TenantPolicy {
            create_rules: vec![rule("cap:duration=60"), rule("default:duration=45")],
            max_duration: Some(prost_types::Duration { seconds: 61, nanos: 0 }),
            max_meetings: 3,
            server_tag: " gpu! ".into(),
            partial_recordings: true,
            ..Default::default()
        };
        let read = policy(wire, &mut Vec::new());
        assert_eq!((read.max_duration, read.server_tag.as_str()), (Duration::from_mins(2), "gpu!"));
        assert_eq!(TenantPolicy::from(v1::TenantPolicy::from(&read)), read);
        let merged = updated(&read, &TenantPolicy::default(), |field| field == "policy.max_meetings");
        assert_eq!(merged, TenantPolicy { max_meetings: 0, ..read });
    }
}
