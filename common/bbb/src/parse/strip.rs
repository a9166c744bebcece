//! Removes the metadata of Usher from an answer before an application sees it.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use super::{element::UnreadableReply, metadata::metadata_elements};

/// The prefix of the metadata names of Usher, of their begin tags and of their end tags.
const OURS: &str = "usher-";
const OURS_OPEN: &str = "<usher-";
const OURS_CLOSE: &str = "</usher-";
/// The number of passes over an answer. A removal can join two texts to a new element of this form, so one pass is not
/// enough. Without a limit, an application that chooses such names could make the cost quadratic.
const PASSES: usize = 4;

/// Returns an answer, or an element of one, without the `usher-…` elements of any `<metadata>`; all other bytes stay.
/// From a text that cannot be read, every such element is removed, at any place.
pub fn strip_usher_metadata(xml: &str) -> Cow<'_, str> {
    let mut xml = Cow::Borrowed(xml);
    for _ in 0..PASSES {
        if !xml.contains(OURS_OPEN) {
            return xml;
        }
        let cuts = ours(&xml).unwrap_or_else(|_| anywhere(&xml));
        if cuts.is_empty() {
            return xml;
        }
        xml = Cow::Owned(without(&xml, &cuts));
    }
    Cow::Owned(disarmed(&xml))
}

/// Returns the ranges of the metadata elements of Usher, in order.
fn ours(xml: &str) -> Result<Vec<Range<usize>>, UnreadableReply> {
    let elements = metadata_elements(xml)?.into_iter();
    Ok(elements.filter(|element| element.name.starts_with(OURS)).map(|element| element.whole).collect())
}

/// Returns the ranges of all complete elements with the name prefix of Usher.
fn anywhere(xml: &str) -> Vec<Range<usize>> {
    // The end tags are indexed once: a search for each begin tag would make the cost quadratic.
    let mut ends: HashMap<&str, Vec<usize>> = HashMap::new();
    for (at, _) in xml.match_indices(OURS_CLOSE) {
        if let Some(name) = tag(&xml[at + 2..]) {
            ends.entry(name).or_default().push(at);
        }
    }
    let (mut cuts, mut from) = (Vec::new(), 0);
    while let Some(at) = xml[from..].find(OURS_OPEN).map(|at| from + at) {
        let end = tag(&xml[at + 1..]).and_then(|name| {
            if name.ends_with('/') {
                return Some(at + 1 + name.len() + 1);
            }
            let ends = ends.get(name)?;
            let end = ends.get(ends.partition_point(|end| *end < at))?;
            Some(end + 2 + name.len() + 1)
        });
        from = end.unwrap_or(at + OURS_OPEN.len());
        cuts.extend(end.map(|end| at..end));
    }
    cuts
}

/// Returns the inside of a tag. `text` is the text after its opening bracket. Returns `None` if the tag has no end.
fn tag(text: &str) -> Option<&str> {
    let end = text.find(['<', '>'])?;
    text[end..].starts_with('>').then(|| &text[..end])
}

/// Returns the text without the given ranges, each with the line end that follows it.
fn without(xml: &str, cuts: &[Range<usize>]) -> String {
    let (mut out, mut done) = (String::with_capacity(xml.len()), 0);
    for cut in cuts {
        out.push_str(&xml[done..cut.start]);
        done = cut.end + usize::from(xml[cut.end..].starts_with('\n'));
    }
    out.push_str(&xml[done..]);
    out
}

/// Returns the text without any begin tag of an element of Usher: the brackets before the prefix are removed.
fn disarmed(xml: &str) -> String {
    let mut parts = xml.split(OURS);
    let mut out = String::with_capacity(xml.len());
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        out.truncate(out.trim_end_matches('<').len());
        out.push_str(OURS);
        out.push_str(part);
    }
    out
}
