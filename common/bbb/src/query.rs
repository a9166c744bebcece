//! Raw queries, kept byte for byte: what is not changed leaves as it came, and in order (BBB API,
//! checksums are over the bytes on the wire).
//!
//! Names are compared decoded, since a server decodes them too: `meeting%49D` is `meetingID`. What
//! follows `meta_` is compared without regard to ASCII case, since servers lower-case it.

mod edit;
mod encoding;
mod form;
mod signed;

use std::{borrow::Cow, cmp::Ordering};

pub use edit::{QueryEdit, compared_name, rewrite};
pub use encoding::{decode, encode, url_safe};
pub use form::rebuilt_form;
pub use signed::{ChecksumFault, SignedQuery};

/// Prefix of metadata parameters of `create`.
const META: &str = "meta_";

/// A query, or a form body, as it came over the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawQuery<'a>(&'a str);

/// One `name=value` of a [`RawQuery`], nothing decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryPair<'a> {
    /// What stands before the first `=`.
    pub name: &'a str,
    /// What stands after it; empty without one.
    pub value: &'a str,
    /// Both, as they came.
    pub text: &'a str,
}

impl<'a> QueryPair<'a> {
    fn split(text: &'a str) -> Self {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Self { name, value, text }
    }

    /// Tells whether the server would take this for parameter `name`. Every join asks this dozens of
    /// times, so what most pairs differ by, their length, comes first.
    pub fn is(&self, name: &str) -> bool {
        match self.name.len().cmp(&name.len()) {
            Ordering::Less => false, // decoding makes no name longer
            Ordering::Equal => self.name == name || self.is_once_decoded(name),
            Ordering::Greater => self.name.as_bytes().contains(&b'%') && self.is_once_decoded(name),
        }
    }

    fn is_once_decoded(&self, name: &str) -> bool {
        same_name(&decode(self.name), name)
    }
}

/// Tells whether two decoded names are one parameter's.
pub fn same_name(given: &str, wanted: &str) -> bool {
    match (given.strip_prefix(META), wanted.strip_prefix(META)) {
        (Some(given), Some(wanted)) => given.eq_ignore_ascii_case(wanted),
        _ => given == wanted,
    }
}

impl<'a> RawQuery<'a> {
    /// Takes what stands after the `?`, or a form body.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Returns the query as it came.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Returns every parameter in order; the empty ones of `&&` are no parameters.
    pub fn pairs(&self) -> impl Iterator<Item = QueryPair<'a>> + use<'a> {
        self.0.split('&').filter(|text| !text.is_empty()).map(QueryPair::split)
    }

    /// Returns the first value of a parameter, decoded.
    pub fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.pairs().find(|pair| pair.is(name)).map(|pair| decode(pair.value))
    }

    /// Returns how often a parameter stands here.
    pub fn count(&self, name: &str) -> usize {
        self.pairs().filter(|pair| pair.is(name)).count()
    }

    /// Takes the one checksum out, wherever it stands.
    pub fn take_checksum(&self) -> Result<SignedQuery<'a>, ChecksumFault> {
        signed::take(self.0)
    }
}

#[cfg(test)]
mod tests;
