//! Verifies that a tenant signed a request, and returns the parameters that the signature covers
//! (wire-contract 1.5).
//!
//! A body is read only if the signed query is empty. Otherwise unsigned fields of a body would join
//! the parameters of a signed link, and Usher would sign all of them anew.

use std::borrow::Cow;

use usher_bbb::{
    call::{ApiCall, ChecksumProblem},
    checksum::verify,
    query::{ChecksumFault, RawQuery, rebuilt_form},
    secret::Secret,
};

const CHECKSUM: &str = "checksum";

/// Returns whether the query holds no parameter except an optional checksum. Only then the
/// parameters of a form body count.
pub fn leaves_room_for_form(query: &str) -> bool {
    RawQuery::new(query).pairs().all(|pair| pair.is(CHECKSUM))
}

/// Returns the parameters that one of `secrets` signed, without the checksum.
///
/// # Errors
/// The checksum is missing, repeated or not that of the request.
pub fn authenticate<'a>(
    call: ApiCall,
    query: &'a str,
    form: Option<&'a str>,
    secrets: &[Secret],
) -> Result<Cow<'a, str>, ChecksumProblem> {
    match form {
        Some(form) if leaves_room_for_form(query) => in_form(call, query, form, secrets),
        _ => {
            let signed = RawQuery::new(query).take_checksum()?;
            let genuine = verify(call.name(), &signed.query, &signed.checksum, secrets);
            genuine.then_some(signed.query).ok_or(ChecksumProblem::Mismatch)
        }
    }
}

/// Reads a signed form. The checksum is in the query or in the body. It covers the query alone or,
/// as older servers require, the rebuilt body.
fn in_form<'a>(
    call: ApiCall,
    query: &'a str,
    form: &'a str,
    secrets: &[Secret],
) -> Result<Cow<'a, str>, ChecksumProblem> {
    let from_query = RawQuery::new(query).take_checksum();
    let from_form = RawQuery::new(form).take_checksum();
    let (given, hashed, parameters) = match (from_query, from_form) {
        (Ok(signed), Err(ChecksumFault::Missing)) => (signed.checksum, signed.query, Cow::Borrowed(form)),
        (Err(ChecksumFault::Missing), Ok(signed)) => (signed.checksum, Cow::Borrowed(query), signed.query),
        (Err(ChecksumFault::Missing), Err(ChecksumFault::Missing)) => {
            return Err(ChecksumProblem::Missing);
        }
        _ => return Err(ChecksumProblem::Mismatch),
    };
    let genuine = verify(call.name(), &hashed, &given, secrets)
        || verify(call.name(), &rebuilt_form(form), &given, secrets);
    genuine.then_some(parameters).ok_or(ChecksumProblem::Mismatch)
}

#[cfg(test)]
mod tests {
    use usher_bbb::checksum::{ChecksumAlgorithm, sign};

    use super::*;

    fn secrets() -> Vec<Secret> {
        vec![Secret::new("old"), Secret::new("new")]
    }

    fn signed(call: ApiCall, query: &str) -> String {
        sign(ChecksumAlgorithm::Sha256, call.name(), query, &secrets()[1])
    }

    #[test]
    fn body_fields_beside_a_signed_query_are_not_parameters() {
        let query = format!("meetingID=a&checksum={}", signed(ApiCall::Create, "meetingID=a"));
        let parameters = authenticate(ApiCall::Create, &query, Some("meetingID=b&name=x"), &secrets());
        assert_eq!(parameters.as_deref(), Ok("meetingID=a"));
    }

    #[test]
    fn a_form_may_carry_everything_and_is_checked_both_ways() {
        let form = "name=T%C3%A9st&meetingID=room+42";
        let (new_way, old_way) = (signed(ApiCall::Create, ""), signed(ApiCall::Create, &rebuilt_form(form)));
        for checksum in [&new_way, &old_way] {
            let body = format!("{form}&checksum={checksum}");
            assert_eq!(authenticate(ApiCall::Create, "", Some(&body), &secrets()).as_deref(), Ok(form));
            let query = format!("checksum={checksum}");
            assert_eq!(authenticate(ApiCall::Create, &query, Some(form), &secrets()).as_deref(), Ok(form));
            let both = authenticate(ApiCall::Create, &query, Some(&body), &secrets());
            assert_eq!(both, Err(ChecksumProblem::Mismatch), "two checksums");
        }
        let unsigned = authenticate(ApiCall::Create, "", Some(form), &secrets());
        assert_eq!(unsigned, Err(ChecksumProblem::Missing));
    }

    #[test]
    fn s12_each_secret_is_valid_until_it_is_removed() {
        let query =
            format!("a=1&checksum={}", sign(ChecksumAlgorithm::Sha1, "create", "a=1", &Secret::new("old")));
        assert!(authenticate(ApiCall::Create, &query, None, &secrets()).is_ok());
        assert!(authenticate(ApiCall::Create, &query, None, &secrets()[1..]).is_err());
        assert!(authenticate(ApiCall::Create, &query, None, &[]).is_err());
    }
}
