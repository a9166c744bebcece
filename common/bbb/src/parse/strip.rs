//! Taking our own metadata out of an answer before an application sees it.

use std::{borrow::Cow, collections::HashMap, ops::Range};

use super::{UnreadableReply, metadata::metadata_elements};

/// How the name of each of our metadata begins, its element, and the end of that.
const OURS: &str = "usher-";
const OURS_OPEN: &str = "<usher-";
const OURS_CLOSE: &str = "</usher-";
/// How often an answer is gone through: what is taken out may bring together what looks like another. An
/// application that builds such names could else make one answer cost as much as its length squared.
const PASSES: usize = 4;

/// Returns `xml`, an answer or an element of one, without the `usher-…` elements of any `<metadata>`, and
/// else byte for byte. Of what cannot be read every such element is taken out, wherever it stands.
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

/// Returns where our elements stand, in order.
fn ours(xml: &str) -> Result<Vec<Range<usize>>, UnreadableReply> {
    let elements = metadata_elements(xml)?.into_iter();
    Ok(elements.filter(|element| element.name.starts_with(OURS)).map(|element| element.whole).collect())
}

/// Returns every element that is called as ours are and that ends.
fn anywhere(xml: &str) -> Vec<Range<usize>> {
    // Looked up once, and not anew for each element that begins.
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

/// Returns the inside of a tag, of which `text` is what follows the first bracket; none if it does not end.
fn tag(text: &str) -> Option<&str> {
    let end = text.find(['<', '>'])?;
    text[end..].starts_with('>').then(|| &text[..end])
}

/// Cuts elements out, with the line that each is alone on.
fn without(xml: &str, cuts: &[Range<usize>]) -> String {
    let (mut out, mut done) = (String::with_capacity(xml.len()), 0);
    for cut in cuts {
        out.push_str(&xml[done..cut.start]);
        done = cut.end + usize::from(xml[cut.end..].starts_with('\n'));
    }
    out.push_str(&xml[done..]);
    out
}

/// Returns `xml` in which nothing looks like an element of ours any more: of what is left of any the
/// brackets go.
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
