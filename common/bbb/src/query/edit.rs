//! Changes a few parameters of a query in one pass and keeps the bytes of the others. The parameters of requests, which
//! get many changes one after the other, are changed as a [`super::ParameterList`].

use std::borrow::Cow;

use super::{
    encoding::push_encoded,
    pair::{META, QueryPair, same_name},
};
use crate::work;

/// The room for `&checksum=` and the longest checksum that a rewritten query has, bytes.
const ROOM_FOR_CHECKSUM: usize = 138;

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
/// that follows. Each parameter is compared with each edit, so the number of edits must not follow from the query.
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
    let mut placed = vec![false; edits.len()];
    let mut first = true;
    for text in query.split('&') {
        let pair = QueryPair::split(text);
        let found = edits.iter().rposition(|edit| !text.is_empty() && pair.is(edit.name()));
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
            && !edits[at + 1..].iter().any(|later| same_name(later.name(), name))
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
