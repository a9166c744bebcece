//! Changes parameters of a query in one pass and keeps the bytes of the others. The cost must stay linear, because a
//! caller chooses the number of parameters, and the number of some edits follows from it.

use std::{borrow::Cow, collections::HashMap};

use super::{META, QueryPair, decode, encoding::push_encoded, same_name};
use crate::work;

/// The room for `&checksum=` and the longest checksum that a rewritten query has, bytes.
const ROOM_FOR_CHECKSUM: usize = 138;
/// The number of edits up to which a linear search is used, as for every join. More edits get an index.
const FEW: usize = 16;

/// One change of a query. If several edits have one name, the last one counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEdit<'e> {
    /// Sets a parameter to one value, at its first position or else at the end. The value is not encoded yet.
    Set(&'e str, &'e str),
    /// Removes every occurrence of a parameter.
    Remove(&'e str),
}

impl<'e> QueryEdit<'e> {
    fn name(self) -> &'e str {
        match self {
            Self::Set(name, _) | Self::Remove(name) => name,
        }
    }
}

/// The edits, searchable by parameter.
struct EditIndex<'e> {
    edits: &'e [QueryEdit<'e>],
    /// The last edit of each parameter, by its name as servers compare it; empty for a few edits.
    last: HashMap<Cow<'e, str>, usize>,
}

impl<'e> EditIndex<'e> {
    fn new(edits: &'e [QueryEdit<'e>]) -> Self {
        let indexed = if edits.len() > FEW { edits } else { &[] };
        let last = indexed.iter().enumerate().map(|(at, edit)| (compared_name(edit.name().into()), at));
        Self { edits, last: last.collect() }
    }

    /// Returns the index of the edit of a pair in a query.
    fn of(&self, pair: QueryPair<'_>) -> Option<usize> {
        if self.edits.len() > FEW {
            return self.last.get(&compared_name(decode(pair.name))).copied();
        }
        self.edits.iter().rposition(|edit| pair.is(edit.name()))
    }

    /// Tells whether no later edit has the same parameter.
    fn is_last(&self, at: usize) -> bool {
        let name = self.edits[at].name();
        if self.edits.len() > FEW {
            return self.last.get(&compared_name(name.into())) == Some(&at);
        }
        !self.edits[at + 1..].iter().any(|later| same_name(later.name(), name))
    }
}

/// Returns a decoded name in its compared form: names are equal for [`same_name`] if their forms are equal.
pub fn compared_name(name: Cow<'_, str>) -> Cow<'_, str> {
    match name.strip_prefix(META) {
        Some(key) if key.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Owned(format!("{META}{}", key.to_ascii_lowercase()))
        }
        _ => name,
    }
}

/// Returns `query` after `edits`, with the bytes and the order of all other parameters, and with room for the checksum
/// that follows.
pub fn rewrite(query: &str, edits: &[QueryEdit<'_>]) -> String {
    let growth: usize = edits
        .iter()
        .map(|edit| match edit {
            QueryEdit::Set(name, value) => name.len() + 3 * value.len() + 2,
            QueryEdit::Remove(_) => 0,
        })
        .sum();
    let mut out = String::with_capacity(query.len() + growth + ROOM_FOR_CHECKSUM);
    work::count(query.len());
    if edits.is_empty() {
        out.push_str(query);
        return out;
    }
    let index = EditIndex::new(edits);
    let mut placed = vec![false; edits.len()];
    let mut first = true;
    for text in query.split('&') {
        let found = if text.is_empty() { None } else { index.of(QueryPair::split(text)) };
        match found.map(|at| (at, edits[at])) {
            Some((at, QueryEdit::Set(name, value))) if !std::mem::replace(&mut placed[at], true) => {
                separate(&mut out, &mut first);
                push_pair(&mut out, name, value);
            }
            Some((_, QueryEdit::Set(..) | QueryEdit::Remove(_))) => {}
            None => {
                separate(&mut out, &mut first);
                out.push_str(text);
            }
        }
    }
    for (at, edit) in edits.iter().enumerate() {
        if let QueryEdit::Set(name, value) = edit
            && !placed[at]
            && index.is_last(at)
        {
            if !out.is_empty() {
                out.push('&');
            }
            push_pair(&mut out, name, value);
        }
    }
    out
}

fn separate(out: &mut String, first: &mut bool) {
    if !std::mem::replace(first, false) {
        out.push('&');
    }
}

fn push_pair(out: &mut String, name: &str, value: &str) {
    push_encoded(out, name);
    out.push('=');
    push_encoded(out, value);
}
