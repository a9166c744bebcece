//! The parameters of one request, found in one pass and bounded in number. All later work uses their positions
//! instead of another pass over the text (ADR 26).

use std::{borrow::Cow, sync::OnceLock};

use smallvec::SmallVec;

use super::{encoding::decode, name_index::NameIndex, pair::same_name};
use crate::work;

/// The number of parameters that need no allocation. Most joins have fewer.
pub(super) const FEW: usize = 24;
/// The number of parameters that need no index. To make one of more costs less than the lookups of a create in
/// them do, which compare each name about thirty times.
pub(super) const UNINDEXED: usize = 4 * FEW;

/// The place of one parameter in the text, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ParameterSpan {
    pub(super) start: u32,
    /// The end of the name: the position of `=`, or of the end if there is none.
    pub(super) name_end: u32,
    pub(super) end: u32,
    /// The position of the decoded name among [`ParameterList::decoded`], plus one; 0 if the name is not encoded.
    pub(super) decoded: u32,
}

/// The parameters of a request, in their order, with the unchanged text. The empty text in `&&` is no parameter.
#[derive(Debug, Clone)]
pub struct ParameterList<'a> {
    pub(super) text: Cow<'a, str>,
    pub(super) spans: SmallVec<[ParameterSpan; FEW]>,
    /// The decoded names of the parameters whose names contain `%` or `+`.
    pub(super) decoded: Vec<Box<str>>,
    /// Made at the first lookup among more than [`UNINDEXED`] parameters.
    pub(super) index: OnceLock<NameIndex>,
}

/// The fault of a request that has more parameters than its reader accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the request has too many parameters")]
pub struct TooManyParameters;

/// One parameter of a [`ParameterList`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedParameter<'p> {
    /// The position in the list.
    pub at: usize,
    /// The decoded name.
    pub name: &'p str,
    /// The value as it was sent, not decoded; empty without `=`.
    pub raw_value: &'p str,
}

impl<'p> ListedParameter<'p> {
    /// Returns the decoded value.
    pub fn value(&self) -> Cow<'p, str> {
        decode(self.raw_value)
    }

    /// Tells whether a server takes this for parameter `name`.
    pub fn is(&self, name: &str) -> bool {
        work::count(1);
        same_name(self.name, name)
    }
}

impl ParameterList<'_> {
    /// Returns the unchanged text of all parameters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of parameters.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there is no parameter.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns every parameter in order.
    pub fn iter(&self) -> impl Iterator<Item = ListedParameter<'_>> {
        (0..self.spans.len()).map(|at| self.get(at))
    }

    /// Returns the first value of a parameter, decoded.
    pub fn first(&self, name: &str) -> Option<Cow<'_, str>> {
        self.position(name).map(|at| self.get(at).value())
    }

    /// Returns the position of the first occurrence of a parameter.
    pub fn position(&self, name: &str) -> Option<usize> {
        self.positions(name).next()
    }

    /// Returns the positions of all occurrences of a parameter, in order.
    pub fn positions(&self, name: &str) -> impl Iterator<Item = usize> {
        let index = self.index();
        let all = if index.is_none() { 0..self.spans.len() } else { 0..0 };
        let indexed = index.map(|index| index.candidates(name)).into_iter().flatten();
        all.chain(indexed).filter(move |at| self.is_named(*at, name))
    }

    /// Returns whether a parameter occurs more than once.
    pub fn is_repeated(&self, name: &str) -> bool {
        self.positions(name).nth(1).is_some()
    }

    /// Returns the list with its own text.
    pub fn into_owned(self) -> ParameterList<'static> {
        let text = Cow::Owned(self.text.into_owned());
        ParameterList { text, spans: self.spans, decoded: self.decoded, index: self.index }
    }

    /// Returns the parameter at a position.
    ///
    /// # Panics
    /// The list has no such position.
    pub fn get(&self, at: usize) -> ListedParameter<'_> {
        let span = &self.spans[at];
        let raw_value = self.text.get(span.name_end as usize + 1..span.end as usize).unwrap_or("");
        ListedParameter { at, name: self.name(span), raw_value }
    }

    fn name(&self, span: &ParameterSpan) -> &str {
        match (span.decoded as usize).checked_sub(1) {
            None => &self.text[span.start as usize..span.name_end as usize],
            Some(at) => &self.decoded[at],
        }
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        work::count(1);
        let given = self.name(&self.spans[at]);
        // By their length most names differ.
        given.len() == name.len() && same_name(given, name)
    }

    fn index(&self) -> Option<&NameIndex> {
        let make = || NameIndex::new(self.spans.iter().map(|span| self.name(span)));
        (self.spans.len() > UNINDEXED).then(|| self.index.get_or_init(make))
    }
}
