//! Queries and their checksums.

use usher_bbb::{
    call::ApiCall,
    checksum::{self, ChecksumAlgorithm},
    query::{
        ChecksumFault, ParameterEdit, ParameterList, ParsedQuery, QueryEdit, RawQuery, decode, encode,
        rebuilt_form, rewrite,
    },
    secret::Secret,
};

/// Parses and rewrites queries: only the requested parameters are removed, added or moved.
pub(super) fn raw_query(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    assert_eq!(rewrite(&text, &[]), text);
    assert_eq!(decode(&encode(&text)), text);
    let rest = |query: &str| -> Vec<String> {
        let others = RawQuery::new(query).pairs().filter(|pair| !pair.is("meetingID"));
        others.map(|pair| pair.text.to_owned()).collect()
    };
    let set = rewrite(&text, &[QueryEdit::Set("meetingID", "a b&c=é"), QueryEdit::Remove("meta_usher-size")]);
    let query = RawQuery::new(&set);
    assert_eq!(query.count("meetingID"), 1);
    assert_eq!(query.first("meetingID").as_deref(), Some("a b&c=é"));
    assert_eq!(query.count("meta_usher-size"), 0);
    assert_eq!(rest(&set), rest(&rewrite(&text, &[QueryEdit::Remove("meta_usher-size")])));
    let rebuilt = rebuilt_form(&text);
    assert!(RawQuery::new(&rebuilt).pairs().count() <= 1 + rebuilt.matches('&').count());
    let parsed = ApiCall::parse(&text).map(ApiCall::name);
    assert!(parsed.is_none_or(|name| name == text));
}

/// Removes checksums from queries and adds them: the rest is unchanged.
pub(super) fn checksum_removal(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let count = RawQuery::new(&text).count("checksum");
    match RawQuery::new(&text).take_checksum() {
        Ok(signed) => {
            assert_eq!(count, 1);
            assert_eq!(RawQuery::new(&signed.query).count("checksum"), 0);
            assert!(!signed.checksum.is_empty() && signed.query.len() < text.len());
            assert!(!checksum::verify("create", &signed.query, &signed.checksum, []));
        }
        Err(ChecksumFault::Missing) => assert!(count <= 1),
        Err(ChecksumFault::Repeated) => assert!(count > 1),
    }
    if count == 0 {
        let secret = Secret::new("secret");
        for algorithm in ChecksumAlgorithm::ALL {
            let with = checksum::sign_query(algorithm, "create", text.clone().into_owned(), &secret);
            let signed =
                RawQuery::new(&with).take_checksum().unwrap_or_else(|fault| panic!("{fault}: {with}"));
            assert_eq!(signed.query, text);
            assert!(checksum::verify("create", &signed.query, &signed.checksum, [&secret]));
        }
    }
}

/// Finds the parameters of a text in one pass: the list, its look-ups and its edits agree with the
/// simple reader that searches the text each time.
pub(super) fn parameter_list(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let simple = RawQuery::new(&text);
    let count = simple.pairs().count();
    let parsed = ParsedQuery::parse(text.as_ref(), 64);
    match (parsed.signed(), simple.take_checksum()) {
        (Ok(one), Ok(other)) => {
            assert_eq!((one.parts.concat(), &one.checksum), (other.query.into_owned(), &other.checksum));
        }
        (one, other) => assert_eq!(one.err(), other.err(), "{text}"),
    }
    let Ok(list) = ParameterList::parse(text.as_ref(), 64) else {
        assert!(count > 64, "{count} parameters");
        return;
    };
    assert!(list.text() == text && list.len() == count);
    for (one, other) in list.iter().zip(simple.pairs()) {
        assert_eq!((one.name, one.raw_value), (&*decode(other.name), other.value));
        assert_eq!(list.first(one.name), simple.first(one.name));
        assert_eq!(list.is_repeated(one.name), simple.count(one.name) > 1, "{}", one.name);
    }
    let mut edited = list.edited();
    edited.apply([
        ParameterEdit::Set("meetingID".into(), "a b&c=é".into()),
        ParameterEdit::Remove("meta_usher-size".into()),
        ParameterEdit::Set("name".into(), "".into()),
    ]);
    let edits = [
        QueryEdit::Set("meetingID", "a b&c=é"),
        QueryEdit::Remove("meta_usher-size"),
        QueryEdit::Set("name", ""),
    ];
    assert_eq!(edited.to_text(), rewrite(&text, &edits));
    assert!(edited.to_text().len() <= edited.length_max());
}
