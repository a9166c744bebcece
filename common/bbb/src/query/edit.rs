//! Changing a query without touching the rest of it, in one pass: callers choose how many parameters a
//! request has, and some of the edits follow from them.

use std::{borrow::Cow, collections::HashMap};

use super::{META, QueryPair, decode, encoding::push_encoded, same_name};

/// Room that a rewritten query keeps for `&checksum=` and the longest checksum.
const ROOM_FOR_CHECKSUM: usize = 138;
/// Edits that are looked through one by one, as for every join; of more an index is made.
const FEW: usize = 16;

/// One change. Of several for one name the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QueryEdit<'e> {
    /// Gives a parameter this one value, where it first stood, else at the end. Not encoded yet.
    Set(&'e str, &'e str),
    /// Takes a parameter out, as often as it stands there.
    Remove(&'e str),
}

impl<'e> QueryEdit<'e> {
    fn name(self) -> &'e str {
        match self {
            Self::Set(name, _) | Self::Remove(name) => name,
        }
    }
}

/// The edits, by the parameter that each is of.
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

    /// Returns which edit is that of a parameter as it stands in a query.
    fn of(&self, pair: QueryPair<'_>) -> Option<usize> {
        if self.edits.len() > FEW {
            return self.last.get(&compared_name(decode(pair.name))).copied();
        }
        self.edits.iter().rposition(|edit| pair.is(edit.name()))
    }

    /// Tells whether no later edit is of the same parameter.
    fn is_last(&self, at: usize) -> bool {
        let name = self.edits[at].name();
        if self.edits.len() > FEW {
            return self.last.get(&compared_name(name.into())) == Some(&at);
        }
        !self.edits[at + 1..].iter().any(|later| same_name(later.name(), name))
    }
}

/// Returns a decoded name in the one form that [`same_name`] takes for the same.
pub fn compared_name(name: Cow<'_, str>) -> Cow<'_, str> {
    match name.strip_prefix(META) {
        Some(key) if key.bytes().any(|byte| byte.is_ascii_uppercase()) => {
            Cow::Owned(format!("{META}{}", key.to_ascii_lowercase()))
        }
        _ => name,
    }
}

/// Returns `query` with `edits` made and everything else byte for byte and in order, with room for
/// the checksum that will follow.
pub fn rewrite(query: &str, edits: &[QueryEdit<'_>]) -> String {
    let growth: usize = edits
        .iter()
        .map(|edit| match edit {
            QueryEdit::Set(name, value) => name.len() + 3 * value.len() + 2,
            QueryEdit::Remove(_) => 0,
        })
        .sum();
    let mut out = String::with_capacity(query.len() + growth + ROOM_FOR_CHECKSUM);
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
