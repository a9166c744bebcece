use proptest::prelude::*;

use super::{pair::META, *};

/// Well-formed and malformed queries: empty pairs, names without values, broken escapes.
fn queries() -> impl Strategy<Value = String> {
    hostile_queries(0..8)
}

/// Queries as [`queries`] makes them: with few parameters, with more than fit without an allocation, and with so many
/// that they get an index.
pub(super) fn hostile_lists() -> impl Strategy<Value = String> {
    use parameters::{FEW, UNINDEXED};
    prop_oneof![
        hostile_queries(0..FEW),
        hostile_queries(FEW..2 * FEW),
        hostile_queries(UNINDEXED..2 * UNINDEXED)
    ]
}

/// Queries as [`queries`] makes them, with so many parameters.
fn hostile_queries(count: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let name = prop_oneof![
        "[a-d]",
        "meta_[a-cA-C]",
        "%6[1-4]",
        "m%65ta%5F[a-cA-C]",
        "meta%5f%4[1-3]",
        "[a-z%+=]{0,6}",
        "checksum"
    ];
    let pair = (name, "[ -%'-~é東]{0,8}").prop_map(|(name, value)| format!("{name}={value}"));
    prop::collection::vec(prop_oneof![4 => pair, 1 => Just(String::new()), 1 => "[a-d]"], count)
        .prop_map(|pairs| pairs.join("&"))
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-d]", "meta_[a-c]", "new[a-z]", "[ -~é]{1,6}"]
}

/// Returns the parameters that a server reads: names and values decoded, `meta_` keys in lower case.
fn read(query: &str) -> Vec<(String, String)> {
    RawQuery::new(query)
        .pairs()
        .map(|pair| {
            let name = decode(pair.name);
            let name = match name.strip_prefix(META) {
                Some(key) => format!("{META}{}", key.to_ascii_lowercase()),
                None => name.into_owned(),
            };
            (name, decode(pair.value).into_owned())
        })
        .collect()
}

proptest! {
    #[test]
    fn rewriting_without_edits_changes_nothing(query in ".{0,80}") {
        prop_assert_eq!(rewrite(&query, &[]), query.as_str());
        prop_assert_eq!(rewrite(&query, &[QueryEdit::Remove("\u{1}never")]), query);
    }

    #[test]
    fn an_edit_sets_its_parameter_once_and_leaves_all_others(
        query in queries(), name in names(), value in ".{0,12}",
    ) {
        let out = rewrite(&query, &[QueryEdit::Set(&name, &value)]);
        let rest = |query: &str| -> Vec<String> {
            RawQuery::new(query).pairs().filter(|pair| !pair.is(&name)).map(|pair| pair.text.into()).collect()
        };
        prop_assert_eq!(RawQuery::new(&out).count(&name), 1);
        prop_assert_eq!(RawQuery::new(&out).first(&name).unwrap(), value);
        prop_assert_eq!(rest(&out), rest(&query));
        let removed = rewrite(&query, &[QueryEdit::Remove(&name)]);
        prop_assert_eq!(RawQuery::new(&removed).count(&name), 0);
        prop_assert_eq!(rest(&removed), rest(&query));
    }

    /// After a rewrite, a server reads the edited parameters and all others unchanged, from any query.
    #[test]
    fn a_server_reads_the_last_of_several_edits(
        query in queries(),
        sets in prop::collection::btree_map("[a-d]|meta_[a-c]|x[a-z]", ".{0,6}", 0..4),
        removed in "[a-d]|meta_[a-c]",
    ) {
        let mut edits: Vec<_> = sets.iter().map(|(name, value)| QueryEdit::Set(name, value)).collect();
        edits.push(QueryEdit::Remove(&removed));
        let out = read(&rewrite(&query, &edits));
        for (name, value) in &sets {
            let found: Vec<_> = out.iter().filter(|(other, _)| other == name).map(|(_, value)| value).collect();
            if *name == removed {
                prop_assert!(found.is_empty());
            } else {
                prop_assert_eq!(found, vec![value]);
            }
        }
        let untouched = |list: Vec<(String, String)>| -> Vec<_> {
            list.into_iter().filter(|(name, _)| !sets.contains_key(name) && *name != removed).collect()
        };
        prop_assert_eq!(untouched(out), untouched(read(&query)));
    }

    /// Edits of parameters that the query lacks change nothing, however many they are.
    #[test]
    fn many_edits_have_the_effect_of_few(
        query in queries(),
        edits in prop::collection::vec(("[a-d]|meta_[a-cA-C]|x[a-z]", prop::option::of("[a-z &]{0,4}")), 0..8),
    ) {
        let few: Vec<_> = edits
            .iter()
            .map(|(name, value)| value.as_ref().map_or(QueryEdit::Remove(name), |value| QueryEdit::Set(name, value)))
            .collect();
        let unused: Vec<String> = (0..20).map(|number| format!("unused-{number}")).collect();
        let many: Vec<_> =
            unused.iter().map(|name| QueryEdit::Remove(name)).chain(few.iter().copied()).collect();
        prop_assert_eq!(rewrite(&query, &many), rewrite(&query, &few));
    }

    #[test]
    fn names_that_are_one_parameters_compare_as_one(
        one in "(meta_)?[a-cA-C]{0,3}", other in "(meta_)?[a-cA-C]{0,3}",
    ) {
        let same = compared_name(Cow::Borrowed(&one)) == compared_name(Cow::Borrowed(&other));
        prop_assert_eq!(same, same_name(&one, &other));
    }

    #[test]
    fn an_encoded_text_decodes_to_itself(text in ".{0,40}") {
        let encoded = encode(&text);
        prop_assert_eq!(decode(&encoded), text);
        prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~%".contains(&b)));
    }

    #[test]
    fn url_safe_parameters_mean_the_same_and_fit_into_a_url(text in ".{0,40}") {
        let safe = url_safe(&text);
        prop_assert_eq!(read(&safe), read(&text));
        let target: http::Uri = format!("/create?{safe}").parse().expect("a request line carries it");
        prop_assert_eq!(target.query(), Some(&*safe));
        prop_assert_eq!(&url_safe(&safe), &safe);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let text = String::from_utf8_lossy(&bytes);
        let query = RawQuery::new(&text);
        let (decoded, rebuilt) = (decode(&text), rebuilt_form(&text));
        prop_assert!(decoded.len() <= 3 * text.len() && rebuilt.len() <= 3 * text.len() + 16);
        match query.take_checksum() {
            Ok(signed) => {
                prop_assert_eq!(query.count("checksum"), 1);
                prop_assert!(signed.query.len() < text.len() && !signed.checksum.is_empty());
            }
            Err(ChecksumFault::Repeated) => prop_assert!(query.count("checksum") > 1),
            Err(ChecksumFault::Missing) => prop_assert!(query.count("checksum") <= 1),
        }
    }

    /// Removing a checksum that was inserted at any position restores the query.
    #[test]
    fn a_checksum_put_in_anywhere_comes_out_again(
        before in prop::collection::vec("[a-d]=[a-z]{0,3}", 0..4),
        after in prop::collection::vec("[a-d]=[a-z]{0,3}", 0..4),
        checksum in "[0-9a-f]{40}",
    ) {
        let given = format!("checksum={checksum}");
        let with = [before.clone(), vec![given], after.clone()].concat().join("&");
        let signed = RawQuery::new(&with).take_checksum().unwrap();
        prop_assert_eq!(signed.query, [before, after].concat().join("&"));
        prop_assert_eq!(signed.checksum, checksum);
    }
}

#[test]
fn other_ampersands_stay_where_they_are() {
    for (query, rest) in [
        ("a=1&checksum=C&", "a=1&"),
        ("a=1&&checksum=C", "a=1&"),
        ("&a=1&checksum=C", "&a=1"),
        ("&checksum=C", ""),
        ("checksum=C&&a=1", "&a=1"),
        ("a=1&checksum=C&b=2", "a=1&b=2"),
    ] {
        assert_eq!(RawQuery::new(query).take_checksum().unwrap().query, rest, "{query}");
    }
}

#[test]
fn missing_empty_and_repeated_checksums_are_faults() {
    for query in ["", "a=1", "checksum", "checksum=", "checksum=+", "Checksum=C", "xchecksum=C"] {
        assert_eq!(RawQuery::new(query).take_checksum(), Err(ChecksumFault::Missing), "{query}");
    }
    for query in [
        "checksum=C&checksum=C",
        "checksum=C&a=1&checksum=D",
        "checksum=C&check%73um=D",
        "checksum&checksum=",
    ] {
        assert_eq!(RawQuery::new(query).take_checksum(), Err(ChecksumFault::Repeated), "{query}");
    }
}

#[test]
fn a_checksum_at_either_end_needs_no_copy() {
    for query in ["a=1&checksum=C", "checksum=C&a=1"] {
        assert!(matches!(RawQuery::new(query).take_checksum().unwrap().query, Cow::Borrowed("a=1")));
    }
}

#[test]
fn parameters_are_found_however_their_names_are_written() {
    let query = RawQuery::new("meeting%49D=%e6%9d%b1+x&meta_Usher-Tenant=a&=v&lone&e=%zz%4");
    assert_eq!(query.first("meetingID").unwrap(), "東 x");
    assert_eq!(query.first("meta_usher-tenant").unwrap(), "a");
    assert_eq!(query.first("lone").unwrap(), "");
    assert_eq!(query.first("e").unwrap(), "%zz%4");
    assert_eq!(query.first("MEETINGID"), None);
    assert_eq!(query.pairs().count(), 5);
}

proptest! {
    #[test]
    fn names_are_compared_decoded(
        given in prop_oneof!["[a-cA-C_%+6é]{0,6}", "(meta|m%65ta)_[a-cA-C%6]{0,4}", "%6[1-3]{1,3}"],
        wanted in prop_oneof!["[a-c+%é ]{0,4}", "meta_[a-c]{0,3}"],
    ) {
        let plain = given == wanted || same_name(&decode(&given), &wanted);
        prop_assert_eq!(QueryPair::split(&given).is(&wanted), plain);
    }
}

#[test]
fn edits_stand_where_the_parameter_stood() {
    let out = rewrite(
        "b=2&meetingID=x&A=%c3%bc+&meeting%49D=y&",
        &[QueryEdit::Set("meetingID", "a b&c"), QueryEdit::Set("new", "ü"), QueryEdit::Remove("b")],
    );
    assert_eq!(out, "meetingID=a%20b%26c&A=%c3%bc+&&new=%C3%BC");
    assert_eq!(rewrite("", &[QueryEdit::Set("a", "1")]), "a=1");
    assert_eq!(rewrite("a=1", &[QueryEdit::Remove("a")]), "");
    assert_eq!(rewrite("a=1", &[QueryEdit::Set("a", "2"), QueryEdit::Set("a", "3")]), "a=3");
}

#[test]
fn a_rewritten_query_has_room_for_its_checksum() {
    let out = rewrite("fullName=A&meetingID=room-42", &[QueryEdit::Set("meetingID", "room-43")]);
    assert!(out.capacity() >= out.len() + "&checksum=".len() + 128);
}

#[test]
fn forms_are_rebuilt_as_old_servers_do() {
    let body = "name=T%c3%a9st&moderatorPW=m%26p&checksum=abc&meetingID=+room%2042&attendeePW=ap";
    assert_eq!(rebuilt_form(body), "attendeePW=ap&meetingID=room+42&moderatorPW=m%26p&name=T%C3%A9st");
    assert_eq!(rebuilt_form("b=2&a=1&b=1&a=*~"), "a=1&a=*%7E&b=2&b=1");
    // By UTF-16 code unit: U+1F44B is a surrogate pair and comes before U+FF5E.
    assert_eq!(rebuilt_form("%EF%BD%9E=1&%F0%9F%91%8B=2"), "\u{1f44b}=2&\u{ff5e}=1");
}
