//! Applies a tenant's rules to the parameters of a call.

use std::{borrow::Cow, collections::HashSet};

use usher_bbb::query::{ParameterEdit, ParameterList, same_name};
use usher_model::tenant::{ParameterRule, RuleAction};

/// Returns the changes that `rules` make to `given`, from which `excluded` are removed first.
pub(super) fn changes<'r>(
    rules: &'r [ParameterRule],
    given: &ParameterList<'_>,
    excluded: &[String],
) -> impl Iterator<Item = ParameterEdit<'r>> {
    let names = rules.iter().enumerate().filter(|(at, rule)| {
        !rules[..*at].iter().any(|earlier| same_name(&earlier.parameter, &rule.parameter))
    });
    names.filter_map(|(_, rule)| change(&rule.parameter, rules, given, excluded))
}

/// Applies all rules for one parameter, in the order of their actions.
fn change<'r>(
    name: &'r str,
    rules: &'r [ParameterRule],
    query: &ParameterList<'_>,
    excluded: &[String],
) -> Option<ParameterEdit<'r>> {
    let mut rules: Vec<&ParameterRule> =
        rules.iter().filter(|rule| same_name(&rule.parameter, name)).collect();
    rules.sort_by_key(|rule| rule.action);
    let given = if excluded.iter().any(|other| same_name(other, name)) { None } else { query.first(name) };
    let mut value: Option<Cow<'_, str>> = given.clone();
    for rule in &rules {
        value = apply(rule, value);
    }
    // A parameter that is given more than once can be read in more than one way. A default rule
    // leaves it alone.
    let ambiguous = query.is_repeated(name) && rules.iter().any(|rule| rule.action != RuleAction::Default);
    let same = value == given && !ambiguous;
    (!same).then(|| match value {
        Some(value) => ParameterEdit::Set(name.into(), value.into_owned().into()),
        None => ParameterEdit::Remove(name.into()),
    })
}

pub(super) fn apply<'v>(rule: &'v ParameterRule, value: Option<Cow<'v, str>>) -> Option<Cow<'v, str>> {
    match rule.action {
        RuleAction::Remove => None,
        RuleAction::Default => value.or(Some(Cow::Borrowed(&rule.value))),
        RuleAction::Override => Some(Cow::Borrowed(&rule.value)),
        RuleAction::Merge => Some(Cow::Owned(merged(value.as_deref().unwrap_or_default(), &rule.value))),
        RuleAction::Cap => {
            let limit: u64 = rule.value.parse().unwrap_or(u64::MAX);
            let number = value.as_deref().and_then(|value| value.trim().parse::<u64>().ok());
            match number {
                Some(number) if (1..=limit).contains(&number) => value,
                _ => Some(Cow::Borrowed(&rule.value)),
            }
        }
    }
}

/// Joins two lists separated by commas: each entry once, those of the application first.
fn merged(given: &str, added: &str) -> String {
    let (mut seen, mut merged) = (HashSet::new(), String::with_capacity(given.len() + added.len() + 1));
    for entry in given.split(',').chain(added.split(',')).map(str::trim) {
        if !entry.is_empty() && seen.insert(entry) {
            if !merged.is_empty() {
                merged.push(',');
            }
            merged.push_str(entry);
        }
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(rules: &[&str], query: &str) -> String {
        let rules: Vec<ParameterRule> = rules.iter().map(|rule| rule.parse().unwrap()).collect();
        let list = ParameterList::parse(query, 10).unwrap();
        let mut sent = list.edited();
        sent.apply(changes(&rules, &list, &["logo".to_owned()]));
        sent.to_text()
    }

    #[test]
    fn each_action_does_what_its_name_says() {
        for (rule, given, expected) in [
            ("default:record=true", "a=1", "a=1&record=true"),
            ("default:record=true", "record=false&a=1", "record=false&a=1"),
            ("default:welcome=Hi", "welcome=", "welcome="),
            ("override:record=true", "a=1&record=false", "a=1&record=true"),
            ("override:record=true", "record=false&a=1&record=x", "record=true&a=1"),
            ("override:record=true", "a=1", "a=1&record=true"),
            ("remove:record", "a=1&record=1&r%65cord=2", "a=1"),
            ("remove:record", "a=1", "a=1"),
            ("cap:duration=60", "duration=30", "duration=30"),
            ("cap:duration=60", "duration=90", "duration=60"),
            ("cap:duration=60", "duration=0", "duration=60"),
            ("cap:duration=60", "duration=-1", "duration=60"),
            ("cap:duration=60", "duration=x", "duration=60"),
            ("cap:duration=60", "a=1", "a=1&duration=60"),
            ("cap:duration=60", "duration=30&duration=90", "duration=30"),
            ("merge:disabledFeatures=chat,polls", "a=1", "a=1&disabledFeatures=chat%2Cpolls"),
            (
                "merge:disabledFeatures=chat,polls",
                "disabledFeatures=polls%2C%20notes",
                "disabledFeatures=polls%2Cnotes%2Cchat",
            ),
            ("merge:disabledFeatures=chat", "disabledFeatures=chat", "disabledFeatures=chat"),
            ("override:meta_Class=7b", "meta_class=8a", "meta_Class=7b"),
        ] {
            assert_eq!(sent(&[rule], given), expected, "{rule} on {given}");
        }
    }

    #[test]
    fn several_rules_for_one_parameter_have_an_order_of_their_own() {
        let both = ["cap:duration=60", "default:duration=45"];
        for (given, expected) in [("a=1", "a=1&duration=45"), ("duration=50", "duration=50")] {
            assert_eq!(sent(&both, given), expected);
        }
        assert_eq!(sent(&["cap:duration=60", "override:duration=90"], "a=1"), "a=1&duration=60");
        assert_eq!(sent(&["default:record=true", "remove:record"], "record=false"), "record=true");
        assert_eq!(sent(&["default:logo=x"], "logo=y"), "logo=x", "what is excluded was never given");
    }
}
