//! Changing a query without touching the rest of it.

use super::{Pair, encoding::push_encoded};

/// Room that a rewritten query keeps for `&checksum=` and the longest checksum.
const ROOM_FOR_CHECKSUM: usize = 138;

/// One change. Of several for one name the last counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Edit<'e> {
    /// Gives a parameter this one value, where it first stood, else at the end. Not encoded yet.
    Set(&'e str, &'e str),
    /// Takes a parameter out, as often as it stands there.
    Remove(&'e str),
}

impl<'e> Edit<'e> {
    fn name(self) -> &'e str {
        match self {
            Self::Set(name, _) | Self::Remove(name) => name,
        }
    }
}

/// Returns `query` with `edits` made and everything else byte for byte and in order, with room for
/// the checksum that will follow.
pub fn rewrite(query: &str, edits: &[Edit<'_>]) -> String {
    let growth: usize = edits
        .iter()
        .map(|edit| match edit {
            Edit::Set(name, value) => name.len() + 3 * value.len() + 2,
            Edit::Remove(_) => 0,
        })
        .sum();
    let mut out = String::with_capacity(query.len() + growth + ROOM_FOR_CHECKSUM);
    if edits.is_empty() {
        out.push_str(query);
        return out;
    }
    let mut first = true;
    for (at, text) in segments(query) {
        let pair = Pair::split(text);
        let edit = if text.is_empty() { None } else { edits.iter().rfind(|edit| pair.is(edit.name())) };
        match edit {
            Some(Edit::Set(name, value)) if !stands_before(query, at, name) => {
                separate(&mut out, &mut first);
                push_pair(&mut out, name, value);
            }
            Some(Edit::Set(..) | Edit::Remove(_)) => {}
            None => {
                separate(&mut out, &mut first);
                out.push_str(text);
            }
        }
    }
    for (index, edit) in edits.iter().enumerate() {
        let Edit::Set(name, value) = edit else { continue };
        let overruled = edits[index + 1..].iter().any(|later| super::same_name(later.name(), name));
        if !overruled && !stands_before(query, query.len() + 1, name) {
            if !out.is_empty() {
                out.push('&');
            }
            push_pair(&mut out, name, value);
        }
    }
    out
}

/// Returns the text between each `&` and where it begins.
fn segments(query: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    query.split('&').map(move |text| {
        let here = at;
        at += text.len() + 1;
        (here, text)
    })
}

/// Tells whether parameter `name` stands in `query` before byte `at`.
fn stands_before(query: &str, at: usize, name: &str) -> bool {
    segments(query)
        .take_while(|(start, _)| *start < at)
        .any(|(_, text)| !text.is_empty() && Pair::split(text).is(name))
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
