//! The rules as changes of a text, each step of which reads and writes the whole text: the model of the rules as changes
//! of a list.

use std::borrow::Cow;

use usher_bbb::query::{RawQuery, decode, rewrite, same_name};
use usher_model::tenant::{ParameterRule, RuleAction};

use super::*;
use crate::core::rules::parameters::apply;

/// The new value of a parameter; `None` if it is removed.
type ModelChange<'r> = (&'r str, Option<String>);

fn edit<'c>((name, value): &'c ModelChange<'_>) -> QueryEdit<'c> {
    value.as_deref().map_or(QueryEdit::Remove(name), |value| QueryEdit::Set(name, value))
}

fn changes<'r>(rules: &'r [ParameterRule], given: &str, excluded: &[String]) -> Vec<ModelChange<'r>> {
    let is_first = |(at, rule): &(usize, &ParameterRule)| {
        !rules[..*at].iter().any(|earlier| same_name(&earlier.parameter, &rule.parameter))
    };
    let names = rules.iter().enumerate().filter(is_first);
    names.filter_map(|(_, rule)| change(&rule.parameter, rules, RawQuery::new(given), excluded)).collect()
}

fn change<'r>(
    name: &'r str,
    rules: &'r [ParameterRule],
    query: RawQuery<'_>,
    excluded: &[String],
) -> Option<ModelChange<'r>> {
    let mut rules: Vec<&ParameterRule> =
        rules.iter().filter(|rule| same_name(&rule.parameter, name)).collect();
    rules.sort_by_key(|rule| rule.action);
    let given = if excluded.iter().any(|other| same_name(other, name)) { None } else { query.first(name) };
    let mut value: Option<Cow<'_, str>> = given.clone();
    for rule in &rules {
        value = apply(rule, value);
    }
    let ambiguous = query.count(name) > 1 && rules.iter().any(|rule| rule.action != RuleAction::Default);
    (value != given || ambiguous).then(|| (name, value.map(Cow::into_owned)))
}

pub(super) fn ruled(rules: &DeploymentRules, given: &str, policy: &TenantPolicy) -> String {
    let changes = changes(&policy.create_rules, given, &rules.create_exclude);
    let mut edits: Vec<QueryEdit<'_>> =
        rules.create_exclude.iter().map(|name| QueryEdit::Remove(name)).collect();
    edits.extend(changes.iter().map(edit));
    if policy.presentation.as_ref().is_some_and(|shown| shown.forced) {
        edits.extend(PRESENTATIONS.map(QueryEdit::Remove));
    }
    rewrite(given, &edits)
}

pub(super) fn create(
    rules: &DeploymentRules,
    ruled: &str,
    key: &MeetingKey,
    scope: &TenantScope,
    policy: &TenantPolicy,
) -> String {
    let query = RawQuery::new(ruled);
    let is_foreign = |name: &Cow<'_, str>| {
        let name = name.to_ascii_lowercase();
        name.starts_with(OURS) && name != SIZE_HINT
    };
    let foreign: Vec<Cow<'_, str>> = query.pairs().map(|pair| decode(pair.name)).filter(is_foreign).collect();
    let for_tests =
        query.pairs().any(|pair| pair.is(VOICE_BRIDGE) && decode(pair.value).trim() == TEST_BRIDGE);
    let max_minutes = shorter(rules.max_minutes, policy.max_duration.as_secs() / 60);
    let limit = max_minutes.to_string();
    let given = query.first("duration").and_then(|value| value.trim().parse::<u64>().ok());
    let is_within =
        query.count("duration") == 1 && given.is_some_and(|minutes| (1..=max_minutes).contains(&minutes));
    let mut edits: Vec<QueryEdit<'_>> = foreign.iter().map(|name| QueryEdit::Remove(name)).collect();
    if max_minutes > 0 && !is_within {
        edits.push(QueryEdit::Set("duration", &limit));
    }
    edits.extend(for_tests.then_some(QueryEdit::Remove(VOICE_BRIDGE)));
    if !policy.dial_number.is_empty() {
        edits.push(QueryEdit::Set(DIAL_NUMBER, &policy.dial_number));
    }
    edits.push(QueryEdit::Set(TENANT_MARK, key.tenant.as_str()));
    let on_server = scope.scoped(key.meeting.as_str());
    let on_server = (!on_server.prefix.is_empty()).then(|| on_server.to_string());
    edits.extend(on_server.as_deref().map(|id| QueryEdit::Set("meetingID", id)));
    rewrite(ruled, &edits)
}

pub(super) fn join(
    rules: &DeploymentRules,
    given: &str,
    policy: &TenantPolicy,
    id: Option<QueryEdit<'_>>,
) -> String {
    let changes = changes(&policy.join_rules, given, &rules.join_exclude);
    let mut edits: Vec<QueryEdit<'_>> =
        rules.join_exclude.iter().map(|name| QueryEdit::Remove(name)).collect();
    edits.extend(changes.iter().map(edit).chain(id));
    rewrite(given, &edits)
}
