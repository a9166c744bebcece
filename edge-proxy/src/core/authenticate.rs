//! Verifies that a tenant signed a request, and returns the parameters that the signature covers
//! (wire-contract 1.5).
//!
//! A body is read only if the signed query is empty. Otherwise unsigned fields of a body would join
//! the parameters of a signed link, and Usher would sign all of them anew.

use usher_bbb::{
    call::{ApiCall, ChecksumProblem},
    checksum::verify_parts,
    query::{ChecksumFault, ParsedQuery, SignedParts, rebuilt_form},
    secret::Secret,
};

/// A request whose checksum is not accepted.
#[derive(Debug, Clone)]
pub struct UnsignedRequest<'a> {
    /// The reason.
    pub problem: ChecksumProblem,
    /// The parameters that the request has, of which none is proved.
    pub given: ParsedQuery<'a>,
}

/// Returns the parameters that one of `secrets` signed, without the checksum. `form` is a body as a form. It counts only
/// if the query holds no parameter except an optional checksum.
///
/// # Errors
/// The checksum is missing, repeated or not that of the request.
pub fn authenticate<'a>(
    call: ApiCall,
    query: ParsedQuery<'a>,
    form: Option<ParsedQuery<'a>>,
    secrets: &[Secret],
) -> Result<ParsedQuery<'a>, Box<UnsignedRequest<'a>>> {
    let (checked, given, is_removed) = match form {
        // A form keeps a checksum that is empty, beside the one in the query.
        Some(form) if query.is_bare() => {
            (check_form(call, &query, &form, secrets), form, query.signed().is_err())
        }
        _ => (check_query(call, &query, secrets), query, true),
    };
    match checked {
        Ok(()) if is_removed => Ok(given.without_checksum()),
        Ok(()) => Ok(given),
        Err(problem) => Err(Box::new(UnsignedRequest { problem, given })),
    }
}

/// Checks the checksum of a query. It covers the bytes around it.
fn check_query(call: ApiCall, query: &ParsedQuery<'_>, secrets: &[Secret]) -> Result<(), ChecksumProblem> {
    let SignedParts { parts, checksum } = query.signed()?;
    verify_parts(call.name(), parts, &checksum, secrets).then_some(()).ok_or(ChecksumProblem::Mismatch)
}

/// Checks the checksum of a form, which is in the query or in the body. It covers the query alone or,
/// as older servers require, the rebuilt body.
fn check_form(
    call: ApiCall,
    query: &ParsedQuery<'_>,
    form: &ParsedQuery<'_>,
    secrets: &[Secret],
) -> Result<(), ChecksumProblem> {
    let (hashed, checksum) = match (query.signed(), form.signed()) {
        (Ok(signed), Err(ChecksumFault::Missing)) => (signed.parts, signed.checksum),
        (Err(ChecksumFault::Missing), Ok(signed)) => ([query.text(), ""], signed.checksum),
        (Err(ChecksumFault::Missing), Err(ChecksumFault::Missing)) => {
            return Err(ChecksumProblem::Missing);
        }
        _ => return Err(ChecksumProblem::Mismatch),
    };
    let genuine = verify_parts(call.name(), hashed, &checksum, secrets)
        || verify_parts(call.name(), [&rebuilt_form(form.text())], &checksum, secrets);
    genuine.then_some(()).ok_or(ChecksumProblem::Mismatch)
}

#[cfg(test)]
mod tests {
    use usher_bbb::checksum::{ChecksumAlgorithm, sign};

    use super::*;
    use crate::core::limits::parsed;

    /// Returns the text of the parameters that are signed.
    fn authenticate(
        call: ApiCall,
        query: &str,
        form: Option<&str>,
        secrets: &[Secret],
    ) -> Result<String, ChecksumProblem> {
        super::authenticate(call, parsed(query), form.map(parsed), secrets)
            .map(|signed| signed.text().to_owned())
            .map_err(|unsigned| unsigned.problem)
    }

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
