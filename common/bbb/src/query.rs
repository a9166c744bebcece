//! Raw queries. Parameters that are not changed keep their bytes and their order, because checksums cover the bytes on
//! the wire (wire-contract 1).
//!
//! Names are compared decoded, because a server decodes them too: `meeting%49D` is `meetingID`. The part after `meta_`
//! is compared without regard to ASCII case, because servers lower-case it.

mod edit;
mod edited;
mod encoding;
mod form;
mod name_index;
mod pair;
mod parameters;
mod parsed;
mod signed;

use std::borrow::Cow;

pub use edit::{QueryEdit, compared_name, rewrite};
pub use edited::{EditedParameter, EditedParameters, ParameterEdit, ParameterEdits};
pub use encoding::{decode, encode, url_safe};
pub use form::rebuilt_form;
pub use pair::{QueryPair, same_name};
pub use parameters::{ListedParameter, ParameterList, TooManyParameters};
pub use parsed::{ParsedQuery, SignedParts};
pub use signed::{ChecksumFault, SignedQuery};

use crate::work;

/// A query or a form body, unchanged from the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawQuery<'a>(&'a str);

impl<'a> RawQuery<'a> {
    /// Wraps the text after the `?` of a URL, or a form body.
    pub const fn new(text: &'a str) -> Self {
        Self(text)
    }

    /// Returns the unchanged text of the query.
    pub const fn as_str(&self) -> &'a str {
        self.0
    }

    /// Returns every parameter in order. The empty text in `&&` is no parameter.
    pub fn pairs(&self) -> impl Iterator<Item = QueryPair<'a>> + use<'a> {
        let counted = self.0.split('&').inspect(|text| work::count(text.len() + 1));
        counted.filter(|text| !text.is_empty()).map(QueryPair::split)
    }

    /// Returns the first value of a parameter, decoded.
    pub fn first(&self, name: &str) -> Option<Cow<'a, str>> {
        self.pairs().find(|pair| pair.is(name)).map(|pair| decode(pair.value))
    }

    /// Returns the number of occurrences of a parameter.
    pub fn count(&self, name: &str) -> usize {
        self.pairs().filter(|pair| pair.is(name)).count()
    }

    /// Returns the query without its checksum, and the checksum, at any position.
    ///
    /// # Errors
    /// The query has no checksum or more than one.
    pub fn take_checksum(&self) -> Result<SignedQuery<'a>, ChecksumFault> {
        signed::take(self.0)
    }
}

#[cfg(test)]
mod tests;
