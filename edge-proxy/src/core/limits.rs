//! Limits of the number of subjects that one request may name. The cost of reading a request grows
//! with its length, which is limited elsewhere. The cost at servers and in answers grows with the
//! number of named subjects, which is limited here.
//!
//! The refusals are those of BBB's own validation: HTTP 200 and `validationError`. BBB itself has
//! no such limits. Its front end silently drops parameters beyond the ten thousandth, and a call
//! that lost some of its parameters is worse than a refused one.

use std::borrow::Cow;

use usher_bbb::{
    call::{ApiCall, ParameterRules},
    query::{ParameterList, ParsedQuery},
    reply::Refusal,
};

use super::recordings::filter::filters_of_key;

/// The limit of parameters of a request. BBB knows about 150, and applications add a few dozen of
/// metadata or userdata.
pub const PARAMETERS_MAX: usize = 1000;
/// The limit of entries of a list. An application that requests the recordings of all meetings on
/// one of its pages names some hundreds; most request 25 at a time.
pub const LIST_MAX: usize = 2000;
/// The limit of filters for one key of metadata. All filters must match, and each searches the
/// whole value.
const FILTERS_OF_KEY_MAX: usize = 8;

/// The limit of `meta_server-tag` in bytes, equal to that of a tenant's own tag. Each server is
/// compared with each alternative of the tag.
const TAG_MAX: usize = 256;
const SERVER_TAG: &str = "meta_server-tag";

/// Finds the parameters of a query or a form, at most [`PARAMETERS_MAX`] of them.
pub fn parsed<'a>(text: impl Into<Cow<'a, str>>) -> ParsedQuery<'a> {
    ParsedQuery::parse(text, PARAMETERS_MAX)
}

/// Checks the number of subjects that the parameters of a call name. The number of the parameters themselves was
/// checked when they were parsed.
///
/// # Errors
/// The refusal that the caller gets.
pub fn check(call: ApiCall, parameters: &ParameterList<'_>) -> Result<(), Refusal> {
    let rules = call.parameter_rules();
    let given = rules.lists().iter().flat_map(|name| parameters.positions(name).map(move |at| (at, name)));
    let is_long = |at| parameters.get(at).value().bytes().filter(|byte| *byte == b',').count() >= LIST_MAX;
    if let Some((_, name)) = given.filter(|(at, _)| is_long(*at)).min() {
        return Err(Refusal::too_long_a_list(name));
    }
    match rules {
        ParameterRules::RecordingFilter if filters_of_key(parameters) > FILTERS_OF_KEY_MAX => {
            Err(Refusal::TOO_MANY_PARAMETERS)
        }
        ParameterRules::Create if parameters.first(SERVER_TAG).is_some_and(|tag| tag.len() > TAG_MAX) => {
            Err(Refusal::too_long_a_list(SERVER_TAG))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use usher_bbb::query::decode;

    use super::*;

    /// Reads the parameters of a call and checks them.
    fn check(call: ApiCall, parameters: &str) -> Result<(), Refusal> {
        let list = parsed(parameters).into_parameters().map_err(|_| Refusal::TOO_MANY_PARAMETERS)?;
        super::check(call, &list)
    }

    fn list(name: &str, entries: usize, comma: &str) -> String {
        format!("{name}={}", vec!["id"; entries].join(comma))
    }

    #[test]
    fn every_call_has_a_limit_of_parameters() {
        let most = vec!["a=1"; PARAMETERS_MAX].join("&");
        for call in ApiCall::all() {
            assert_eq!(check(call, &most), Ok(()), "{call}");
            // Empty parameters, as in `&&`, do not count.
            assert_eq!(check(call, &format!("&&{most}&&")), Ok(()), "{call}");
            assert_eq!(check(call, &format!("{most}&b")), Err(Refusal::TOO_MANY_PARAMETERS), "{call}");
        }
    }

    #[test]
    fn every_list_has_a_limit_of_entries_however_it_is_written() {
        for (call, names) in [
            (ApiCall::GetRecordings, &["recordID", "meetingID", "state", "meeting%49D"][..]),
            (ApiCall::PublishRecordings, &["recordID"]),
            (ApiCall::DeleteRecordings, &["recordID"]),
            (ApiCall::UpdateRecordings, &["recordID"]),
            (ApiCall::HooksCreate, &["eventID"]),
        ] {
            for (name, comma) in names.iter().flat_map(|name| [",", "%2C", "%2c"].map(|comma| (name, comma)))
            {
                assert_eq!(check(call, &list(name, LIST_MAX, comma)), Ok(()), "{call} {name}");
                let refused = check(call, &list(name, LIST_MAX + 1, comma)).expect_err("is refused");
                assert_eq!(refused.key, "validationError", "{call} {name}");
                assert!(refused.message.contains(&*decode(name)), "{refused:?}");
            }
        }
        assert_eq!(check(ApiCall::Create, &list("welcome", 10 * LIST_MAX, ",")), Ok(()), "text is no list");
    }

    #[test]
    fn a_wish_for_a_server_has_a_limit() {
        let tag = |length| format!("meta_Server-Tag={}", "a;".repeat(length / 2));
        assert_eq!(check(ApiCall::Create, &tag(TAG_MAX)), Ok(()));
        assert_eq!(
            check(ApiCall::Create, &tag(TAG_MAX + 2)).map_err(|refusal| refusal.key),
            Err("validationError")
        );
    }

    #[test]
    fn one_key_of_metadata_has_a_limit_of_filters_and_many_keys_have_none() {
        let filters = |count, key: &str| -> String {
            (0..count).map(|number| format!("&meta_{}=x", key.replace('#', &number.to_string()))).collect()
        };
        assert_eq!(check(ApiCall::GetRecordings, &filters(FILTERS_OF_KEY_MAX, "course")), Ok(()));
        let many = check(ApiCall::GetRecordings, &filters(FILTERS_OF_KEY_MAX + 1, "course"));
        assert_eq!(many, Err(Refusal::TOO_MANY_PARAMETERS));
        assert_eq!(check(ApiCall::GetRecordings, &filters(500, "course-#")), Ok(()));
        assert_eq!(check(ApiCall::Create, &filters(500, "course")), Ok(()), "a create filters nothing");
    }
}
