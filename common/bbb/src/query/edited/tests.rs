use proptest::prelude::*;

use super::*;
use crate::query::{RawQuery, compared_name, rewrite, tests::hostile_lists};

/// Edits of one step.
type Step = Vec<(String, Option<String>)>;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let name = prop_oneof!["[a-d]", "meta_[a-cA-C]", "x[a-c]", "checksum"];
    let edit = (name, prop::option::of("[a-z &é]{0,4}"));
    prop::collection::vec(prop::collection::vec(edit, 0..5), 0..4)
}

fn edits(step: &Step) -> impl Iterator<Item = QueryEdit<'_>> {
    step.iter().map(|(name, value)| match value {
        Some(value) => QueryEdit::Set(name, value),
        None => QueryEdit::Remove(name),
    })
}

proptest! {
    /// One rewrite of all steps has the result of a rewrite after each step, and is that of a single step byte for byte.
    /// After several steps, a rewrite for each may leave an `&` before the first parameter that one rewrite does not.
    #[test]
    fn one_rewrite_at_the_end_has_the_effect_of_one_for_each_step(
        query in hostile_lists(), steps in steps(),
    ) {
        let list = ParameterList::parse(&*query, 200).unwrap();
        let (mut edited, mut model) = (list.edited(), query.clone());
        for (number, step) in steps.iter().enumerate() {
            edited.apply(edits(step));
            model = rewrite(&model, &edits(step).collect::<Vec<_>>());
            let text = edited.to_text();
            if number == 0 {
                prop_assert_eq!(&text, &model);
            }
            prop_assert_eq!(text.trim_start_matches('&'), model.trim_start_matches('&'), "after {:?}", step);
            prop_assert!(text.len() <= edited.length_max());
        }
        let resumed = EditedParameters::resumed(&list, &edited.clone().into_edits()).to_text();
        prop_assert_eq!(resumed, edited.to_text());
    }

    /// Edited parameters are read as the rewritten query would be.
    #[test]
    fn edited_parameters_are_read_as_if_they_were_written(
        query in hostile_lists(), steps in steps(),
    ) {
        let list = ParameterList::parse(&*query, 200).unwrap();
        let mut edited = list.edited();
        for step in &steps {
            edited.apply(edits(step));
        }
        let text = edited.to_text();
        let raw = RawQuery::new(&text);
        let read: Vec<_> = raw
            .pairs()
            .map(|pair| (super::super::decode(pair.name).into_owned(), super::super::decode(pair.value).into_owned()))
            .collect();
        let given: Vec<_> =
            edited.iter().map(|given| (given.name.to_owned(), given.value.clone().into_owned())).collect();
        prop_assert_eq!(&given, &read);
        let mut seen = std::collections::HashSet::new();
        for parameter in edited.iter() {
            let is_first = seen.insert(compared_name(parameter.name.into()).into_owned());
            prop_assert_eq!(edited.is_first(&parameter), is_first, "{}", parameter.name);
        }
        let names = steps.iter().flatten().map(|(name, _)| name.as_str()).chain(["a", "meta_a", "none"]);
        for name in names {
            prop_assert_eq!(edited.first(name), raw.first(name), "{}", name);
            prop_assert_eq!(edited.values(name).count(), raw.count(name), "{}", name);
            prop_assert_eq!(edited.is_repeated(name), raw.count(name) > 1, "{}", name);
        }
    }
}

#[test]
fn edits_stand_where_the_parameter_stood() {
    let list = ParameterList::parse("b=2&meetingID=x&A=%c3%bc+&meeting%49D=y&", 10).unwrap();
    let mut edited = list.edited();
    edited.apply([QueryEdit::Set("meetingID", "a b&c"), QueryEdit::Set("new", "ü"), QueryEdit::Remove("b")]);
    assert_eq!(edited.to_text(), "meetingID=a%20b%26c&A=%c3%bc+&&new=%C3%BC");
    assert!(edited.to_text().capacity() >= edited.to_text().len() + "&checksum=".len() + 128);
}

#[test]
fn a_parameter_that_an_earlier_step_removed_is_set_at_the_end() {
    let list = ParameterList::parse("a=1&b=2", 10).unwrap();
    let mut edited = list.edited();
    edited.apply([QueryEdit::Remove("a"), QueryEdit::Set("a", "3")]);
    assert_eq!(edited.to_text(), "a=3&b=2");
    edited.apply([QueryEdit::Remove("a")]);
    edited.apply([QueryEdit::Set("c", "4")]);
    edited.apply([QueryEdit::Set("a", "5")]);
    assert_eq!(edited.to_text(), "b=2&c=4&a=5");
    edited.apply([QueryEdit::Remove("a"), QueryEdit::Set("c", "6")]);
    assert_eq!(edited.to_text(), "b=2&c=6");
}
