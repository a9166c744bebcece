//! Taking our own metadata out of an answer before an application sees it.
//!
//! Applications name metadata too, `metadata` among it: which `<usher-…>` is ours is told by where it
//! stands, a child of a meeting's `<metadata>`, and not by what surrounds it in the text.

use std::{borrow::Cow, ops::Range};

use super::{
    Unreadable,
    element::{Step, Walk},
};

/// How the name of each of our metadata begins, and its element.
const OURS: &str = "usher-";
const OURS_OPEN: &str = "<usher-";

/// Returns `xml`, an answer or an element of one, without the `usher-…` elements of any `<metadata>`, and
/// else byte for byte. Of what cannot be read every such element is taken out, wherever it stands.
pub fn strip_usher_metadata(xml: &str) -> Cow<'_, str> {
    let mut xml = Cow::Borrowed(xml);
    while xml.contains(OURS_OPEN) {
        let cuts = ours(&xml).unwrap_or_else(|_| anywhere(&xml));
        if cuts.is_empty() {
            break;
        }
        xml = Cow::Owned(without(&xml, &cuts));
    }
    xml
}

/// Returns where our elements stand, in order.
fn ours(xml: &str) -> Result<Vec<Range<usize>>, Unreadable> {
    let start = xml.len() - xml.trim_start_matches('\u{feff}').trim_start().len();
    let mut walk = Walk::around(xml[start..].trim_end())?;
    let mut cuts = Vec::new();
    // The outermost element in which users name the elements, and whether it is of a meeting.
    let mut named: Option<(usize, bool)> = None;
    loop {
        match walk.next()? {
            Step::Open { name, at } => match named {
                None if matches!(name, "metadata" | "customdata") => {
                    named = Some((walk.depth(), name == "metadata"));
                }
                Some((depth, true)) if walk.depth() == depth + 1 && name.starts_with(OURS) => {
                    walk.text()?;
                    cuts.push(start + at..start + walk.position());
                }
                _ => {}
            },
            Step::Text(_) | Step::Close => {}
            Step::End => return Ok(cuts),
        }
        named = named.filter(|(depth, _)| walk.depth() >= *depth);
    }
}

/// Returns every element that is called as ours are and that ends.
fn anywhere(xml: &str) -> Vec<Range<usize>> {
    let (mut cuts, mut from) = (Vec::new(), 0);
    while let Some(at) = xml[from..].find(OURS_OPEN).map(|at| from + at) {
        from = match element_length(&xml[at..]) {
            Some(length) => {
                cuts.push(at..at + length);
                at + length
            }
            None => at + OURS_OPEN.len(),
        };
    }
    cuts
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

/// Returns the length of the element that `xml` begins with; none if it does not end.
fn element_length(xml: &str) -> Option<usize> {
    let open_end = xml.find('>')?;
    if xml[..open_end].ends_with('/') {
        return Some(open_end + 1);
    }
    let name = &xml[1..open_end];
    let close = format!("</{name}>");
    Some(xml.find(&close)? + close.len())
}
