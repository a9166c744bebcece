//! Finds the metadata of meetings and recordings in an answer.
//!
//! Applications choose the names of metadata, and may choose `metadata` itself. An element is metadata if it is a child
//! of an outermost `<metadata>`; the text around it does not matter.

use std::{borrow::Cow, ops::Range};

use super::{
    UnreadableReply,
    element::{ElementStep, ElementWalk},
};
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

/// Returns an answer in which each metadata value is replaced for which `reword`, called with name and value, returns a
/// new one. All other bytes stay, and an answer that cannot be read is returned unchanged.
pub fn reworded_metadata(xml: &str, reword: impl Fn(&str, &str) -> Option<String>) -> Cow<'_, str> {
    let Ok(elements) = metadata_elements(xml) else { return Cow::Borrowed(xml) };
    let (mut out, mut done) = (String::new(), 0);
    for element in elements {
        let Some(end) = xml[element.whole.clone()].rfind("</").map(|end| element.whole.start + end) else {
            continue;
        };
        let Some(inner) = xml.get(element.value_at..end) else { continue };
        let Some(value) = reword(element.name, element.value.trim()) else { continue };
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
        let reword = |name: &str, value: &str| (name == "k" && value == "old").then(|| "<new>".to_owned());
        reworded_metadata(xml, reword).into_owned()
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
