use proptest::prelude::*;

use super::*;
use crate::query::{RawQuery, parameters::FEW, tests::hostile_lists};

const MOST: usize = 200;

/// Decoded names that may be looked for: plain, of metadata in either case, of no parameter.
fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "(meta_|meta)[a-cA-C]{0,2}", "checksum", "[a-z= é]{0,4}"]
}

proptest! {
    /// The list answers as the passes over the text do, with an index and without.
    #[test]
    fn a_list_finds_all_that_a_pass_over_the_text_finds(
        query in hostile_lists(), wanted in prop::collection::vec(names(), 1..6),
    ) {
        let (list, raw) = (ParameterList::parse(&*query, MOST).unwrap(), RawQuery::new(&query));
        let pairs: Vec<_> = raw.pairs().map(|pair| (decode(pair.name).into_owned(), pair.value)).collect();
        let listed: Vec<_> = list.iter().map(|given| (given.name.to_owned(), given.raw_value)).collect();
        prop_assert_eq!(listed, pairs);
        prop_assert_eq!(list.text(), &query);
        for name in &wanted {
            prop_assert_eq!(list.first(name), raw.first(name), "{}", name);
            prop_assert_eq!(list.positions(name).count(), raw.count(name), "{}", name);
            prop_assert!(list.positions(name).is_sorted());
            prop_assert_eq!(list.is_repeated(name), raw.count(name) > 1);
        }
        let safe = list.into_url_safe();
        prop_assert_eq!(safe.text(), &*url_safe(&query));
        for name in &wanted {
            prop_assert_eq!(safe.first(name), raw.first(name), "{}", name);
        }
    }

    /// The checksum is found and removed as it is from the text, and the list is then that of the remaining text.
    #[test]
    fn a_checksum_leaves_the_list_that_it_leaves_of_the_text(
        query in hostile_lists(), checksum in "(&{0,2}(check%73um|checksum)=[ +a-f0-9]{0,4}&{0,2})?", at in 0..80_usize,
    ) {
        let at = (0..=at.min(query.len())).rev().find(|at| query.is_char_boundary(*at)).unwrap_or(0);
        let query = [&query[..at], &checksum, &query[at..]].concat();
        let parsed = ParsedQuery::parse(&*query, MOST);
        prop_assert_eq!(parsed.is_bare(), RawQuery::new(&query).pairs().all(|pair| pair.is("checksum")));
        match (parsed.signed(), RawQuery::new(&query).take_checksum()) {
            (Ok(parts), Ok(signed)) => {
                prop_assert_eq!(parts.parts.concat(), &*signed.query);
                prop_assert_eq!(parts.checksum, signed.checksum);
                let list = parsed.clone().without_checksum().into_parameters().unwrap();
                let again = ParameterList::parse(&*signed.query, MOST).unwrap();
                prop_assert_eq!(list.text(), again.text());
                prop_assert_eq!(list.spans.len(), again.spans.len());
                for (given, other) in list.iter().zip(again.iter()) {
                    prop_assert_eq!(given, other);
                }
                let owned = ParsedQuery::parse(query.clone(), MOST).without_checksum().into_parameters().unwrap();
                prop_assert_eq!(owned.text(), again.text());
            }
            (parts, signed) => prop_assert_eq!(parts.err(), signed.err()),
        }
    }
}

#[test]
fn a_list_keeps_as_many_parameters_as_its_limit_and_the_checksum_beside_them() {
    let most = vec!["a=1"; MOST].join("&");
    for fits in [&most, &format!("&&{most}&&"), &format!("checksum=C&{most}"), &format!("{most}&checksum=C")]
    {
        let parsed = ParsedQuery::parse(&**fits, MOST);
        let list = parsed.without_checksum().into_parameters().expect("is within the limit");
        assert_eq!(list.len(), MOST, "{fits}");
    }
    for surplus in [format!("{most}&b"), format!("{most}&checksum=C&b"), format!("{most}&b&checksum=C")] {
        let parsed = ParsedQuery::parse(&*surplus, MOST);
        let signed = parsed.signed().map(|signed| signed.parts.concat());
        let expected = RawQuery::new(&surplus).take_checksum().map(|signed| signed.query.into_owned());
        assert_eq!(signed, expected, "the checksum counts however long the query is");
        let refused = parsed.without_checksum().into_parameters().expect_err("is beyond the limit");
        assert_eq!(refused.text(), expected.unwrap_or(surplus.clone()), "the text is whole");
        assert_eq!(refused.list.len(), MOST);
    }
    assert_eq!(ParameterList::parse("a&b", 1).unwrap_err(), TooManyParameters);
}

#[test]
fn few_parameters_need_no_allocation() {
    let few = vec!["name=a%20b"; FEW].join("&");
    let list = ParameterList::parse(&*few, MOST).unwrap();
    assert!(!list.spans.spilled() && list.decoded.is_empty() && matches!(list.text, Cow::Borrowed(_)));
    assert!(list.first("name").is_some() && list.index.get().is_none());
}
