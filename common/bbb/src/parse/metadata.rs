//! The metadata of meetings and recordings in an answer, wherever it stands.
//!
//! Applications name metadata too, `metadata` among it: which elements are metadata is told by where they
//! stand, children of an outermost `<metadata>`, and not by what surrounds them in the text.

use std::{borrow::Cow, ops::Range};

use super::{
    UnreadableReply,
    element::{ElementStep, ElementWalk},
};
use crate::reply::xml::push_escaped;

/// One element of metadata.
pub(super) struct MetadataElement<'x> {
    pub(super) name: &'x str,
    /// Where it stands, its tags included.
    pub(super) whole: Range<usize>,
    /// Where its value begins.
    value_at: usize,
    /// Its text, decoded.
    value: Cow<'x, str>,
}

/// Returns the metadata of `xml`, an answer or an element of one, in order.
pub(super) fn metadata_elements(xml: &str) -> Result<Vec<MetadataElement<'_>>, UnreadableReply> {
    let start = xml.len() - xml.trim_start_matches('\u{feff}').trim_start().len();
    let mut walk = ElementWalk::around(xml[start..].trim_end())?;
    let mut found = Vec::new();
    // The outermost element in which users name the elements, and whether it is of a meeting.
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

/// Returns `xml`, an answer, with those values of metadata replaced for which `reword` has another one, by
/// name and value, and else byte for byte. What cannot be read is returned as it is.
pub fn reworded_metadata(xml: &str, reword: impl Fn(&str, &str) -> Option<String>) -> Cow<'_, str> {
    let Ok(elements) = metadata_elements(xml) else { return Cow::Borrowed(xml) };
    let (mut out, mut done) = (String::new(), 0);
    for element in elements {
        let Some(end) = xml[element.whole.clone()].rfind("</").map(|end| element.whole.start + end) else {
            continue;
        };
        let Some(inner) = xml.get(element.value_at..end) else { continue };
        let Some(value) = reword(element.name, element.value.trim()) else { continue };
        // White space around it stays: recordings are written in lines.
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
