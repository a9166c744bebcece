//! Removes the checksum from a query as servers do: with the `&` before it, or else with the one after it. Any other
//! leading or trailing `&` stays and is hashed (wire-contract 1).

use std::borrow::Cow;

use super::{encoding::decode, pair::QueryPair};
use crate::work;

/// The name of the checksum parameter.
pub(super) const CHECKSUM: &str = "checksum";

/// A query and its checksum, not verified yet.
#[derive(Clone, PartialEq, Eq)]
pub struct SignedQuery<'a> {
    /// Text that was signed.
    pub query: Cow<'a, str>,
    /// Checksum of the request, not empty.
    pub checksum: Cow<'a, str>,
}

impl std::fmt::Debug for SignedQuery<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Signed").finish_non_exhaustive() // queries have passwords, and checksums grant access
    }
}

/// The reason why a query has no checksum to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChecksumFault {
    /// The checksum is absent or empty.
    #[error("the checksum is missing")]
    Missing,
    /// The query has several checksums. BBB 3.0.37 and newer refuse it; older versions accept it if one of them fits.
    #[error("the checksum is repeated")]
    Repeated,
}

pub(super) fn take(query: &str) -> Result<SignedQuery<'_>, ChecksumFault> {
    let mut found: Option<(usize, QueryPair<'_>)> = None;
    work::count(query.len());
    let mut start = 0;
    for text in query.split('&') {
        let pair = QueryPair::split(text);
        if pair.is(CHECKSUM) {
            if found.is_some() {
                return Err(ChecksumFault::Repeated);
            }
            found = Some((start, pair));
        }
        start += text.len() + 1;
    }
    let (start, pair) = found.ok_or(ChecksumFault::Missing)?;
    let checksum = trimmed(decode(pair.value));
    if checksum.is_empty() {
        return Err(ChecksumFault::Missing);
    }
    let end = start + pair.text.len();
    let query = match (&query[..start], &query[end..]) {
        ("", rest) => Cow::Borrowed(rest.strip_prefix('&').unwrap_or(rest)),
        (before, "") => Cow::Borrowed(&before[..before.len() - 1]),
        (before, rest) => Cow::Owned([&before[..before.len() - 1], rest].concat()),
    };
    Ok(SignedQuery { query, checksum })
}

pub(super) fn trimmed(value: Cow<'_, str>) -> Cow<'_, str> {
    match value {
        Cow::Borrowed(value) => Cow::Borrowed(value.trim()),
        Cow::Owned(value) => Cow::Owned(value.trim().to_owned()),
    }
}
