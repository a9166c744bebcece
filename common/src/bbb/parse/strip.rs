//! Taking our own metadata out of an answer before an application sees it.

use std::borrow::Cow;

/// How each of our metadata elements begins.
const OURS: &str = "<usher-";

/// Returns `xml` without the `usher-…` elements of any `<metadata>`, and else byte for byte.
pub fn strip_usher_metadata(xml: &str) -> Cow<'_, str> {
    if !xml.contains(OURS) {
        return Cow::Borrowed(xml);
    }
    let mut out = String::with_capacity(xml.len());
    let mut rest = xml;
    while let Some(start) = rest.find("<metadata>") {
        let Some(length) = rest[start..].find("</metadata>") else { break };
        out.push_str(&rest[..start]);
        strip_block(&mut out, &rest[start..start + length]);
        rest = &rest[start + length..];
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn strip_block(out: &mut String, block: &str) {
    let mut rest = block;
    while let Some(start) = rest.find(OURS) {
        let Some(length) = element_length(&rest[start..]) else { break };
        out.push_str(&rest[..start]);
        let after = &rest[start + length..];
        rest = after.strip_prefix('\n').unwrap_or(after);
    }
    out.push_str(rest);
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
