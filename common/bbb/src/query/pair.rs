//! One pair of a query, and the comparison of its name with that of a parameter.

use std::cmp::Ordering;

use super::encoding::decode;
use crate::work;

/// The prefix of metadata parameters of `create`.
pub(super) const META: &str = "meta_";

/// One `name=value` of a [`super::RawQuery`], not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueryPair<'a> {
    /// Text before the first `=`.
    pub name: &'a str,
    /// Text after the first `=`; empty without one.
    pub value: &'a str,
    /// The whole pair, unchanged.
    pub text: &'a str,
}

impl<'a> QueryPair<'a> {
    pub(super) fn split(text: &'a str) -> Self {
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        Self { name, value, text }
    }

    /// Tells whether a server takes this pair for parameter `name`. Every join compares dozens of pairs, so the length,
    /// by which most pairs differ, is compared first.
    pub fn is(&self, name: &str) -> bool {
        work::count(1);
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

/// Tells whether two decoded names are names of one parameter.
pub fn same_name(given: &str, wanted: &str) -> bool {
    match (given.strip_prefix(META), wanted.strip_prefix(META)) {
        (Some(given), Some(wanted)) => given.eq_ignore_ascii_case(wanted),
        _ => given == wanted,
    }
}
