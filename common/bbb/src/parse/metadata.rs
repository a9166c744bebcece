//! Finds the metadata of meetings and recordings in an answer.
//!
//! Applications choose the names of metadata, and may choose `metadata` itself. An element is metadata if it is a child
//! of an outermost `<metadata>`; the text around it does not matter.

use std::{borrow::Cow, ops::Range};

use super::element::{ElementStep, ElementWalk, UnreadableReply};
use crate::reply::xml::push_escaped;

/// One metadata element of an answer.
pub(super) struct MetadataElement<'x> {
    pub(super) name: &'x str,
    /// Range of the element, with its tags.
    pub(super) whole: Range<usize>,
    /// Position at which its value begins.
    value_at: usize,
    /// Text of the element, decoded.
    value: Cow<'x, str>,
}

/// Returns the metadata elements of `xml`, an answer or an element of an answer, in order.
pub(super) fn metadata_elements(xml: &str) -> Result<Vec<MetadataElement<'_>>, UnreadableReply> {
    let start = xml.len() - xml.trim_start_matches('\u{feff}').trim_start().len();
    let mut walk = ElementWalk::around(xml[start..].trim_end())?;
    let mut found = Vec::new();
    // The depth of the outermost element in which applications name the elements, and whether it is `metadata`.
    let mut named: Option<(usize, bool)> = None;
    loop {
        match walk.next()? {
            ElementStep::Open { name, at } => match named {
                None if matches!(name, "metadata" | "customdata") => {
                    named = Some((walk.depth(), name == "metadata"));
                }
                Some((depth, true)) if walk.depth() == depth + 1 => {
                    let value_at = start + walk.position();
                    let value = walk.text()?;
                    let whole = start + at..start + walk.position();
                    found.push(MetadataElement { name, whole, value_at, value });
                }
                _ => {}
            },
            ElementStep::Text(_) | ElementStep::Close => {}
            ElementStep::End => return Ok(found),
        }
        named = named.filter(|(depth, _)| walk.depth() >= *depth);
    }
}

/// The change of one metadata element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetadataChange {
    /// The element stays.
    Keep,
    /// The element gets another value.
    Reword(String),
    /// The element is removed, with the line end that follows it.
    Remove,
}

/// Returns an answer in which `change`, called with name and value, has changed each metadata element. All other bytes
/// stay, and an answer that cannot be read is returned unchanged.
pub fn changed_metadata(xml: &str, change: impl Fn(&str, &str) -> MetadataChange) -> Cow<'_, str> {
    let Ok(elements) = metadata_elements(xml) else { return Cow::Borrowed(xml) };
    let (mut out, mut done) = (String::new(), 0);
    for element in elements {
        let Some(end) = xml[element.whole.clone()].rfind("</").map(|end| element.whole.start + end) else {
            continue;
        };
        let Some(inner) = xml.get(element.value_at..end) else { continue };
        let value = match change(element.name, element.value.trim()) {
            MetadataChange::Keep => continue,
            MetadataChange::Reword(value) => value,
            MetadataChange::Remove => {
                out.push_str(&xml[done..element.whole.start]);
                done = element.whole.end + usize::from(xml[element.whole.end..].starts_with('\n'));
                continue;
            }
        };
        // The white space around the value stays, because servers write recordings on several lines.
        let from = element.value_at + inner.len() - inner.trim_start().len();
        out.push_str(&xml[done..from]);
        push_escaped(&mut out, &value);
        done = from + inner.trim().len();
    }
    if done == 0 {
        return Cow::Borrowed(xml);
    }
    out.push_str(&xml[done..]);
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reworded(xml: &str) -> String {
        let change = |name: &str, value: &str| match (name, value) {
            ("k", "old") => MetadataChange::Reword("<new>".to_owned()),
            ("gone", _) => MetadataChange::Remove,
            _ => MetadataChange::Keep,
        };
        changed_metadata(xml, change).into_owned()
    }

    #[test]
    fn an_element_is_removed_with_its_line() {
        let metadata =
            |inner: &str| format!("<response><gone>1</gone><metadata>{inner}</metadata></response>");
        for (given, expected) in [
            ("\n<gone>x</gone>\n<l>1</l>\n", "\n<l>1</l>\n"),
            ("<gone>x</gone><k>old</k><gone>y</gone>", "<k>&lt;new&gt;</k>"),
            ("<l>1</l>\n<gone><![CDATA[x]]></gone>\n", "<l>1</l>\n"),
            ("<gone></gone>", ""),
            ("<gone/>", "<gone/>"), // no server writes a value so
        ] {
            assert_eq!(reworded(&metadata(given)), metadata(expected), "{given}");
        }
    }

    #[test]
    fn a_value_is_replaced_where_it_is_metadata_of_that_name_and_nowhere_else() {
        let xml = "\u{feff} <response><k>old</k><metadata><k>old</k><K>old</K><l>old</l><k>old too</k>\n<k>\n  old\n</k>\
            <k><![CDATA[old]]></k><k/></metadata><attendees><customdata><metadata><k>old</k></metadata></customdata>\
            </attendees><meeting><metadata><metadata><k>old</k></metadata></metadata></meeting></response>";
        let expected = xml
            .replace("<metadata><k>old</k><K>", "<metadata><k>&lt;new&gt;</k><K>")
            .replace("\n  old\n", "\n  &lt;new&gt;\n")
            .replace("<![CDATA[old]]>", "&lt;new&gt;");
        assert_eq!(reworded(xml), expected);
        for same in ["", "old", "<response><metadata><k>old</k>", "<metadata><l>old</l></metadata>"] {
            assert_eq!(reworded(same), same);
        }
    }
}
