//! Turns scoped meeting ids in an answer back into the ids of the tenant (ADR 7).
//!
//! A prefix has no character that XML escapes, so it is removed from the text and all other bytes stay.

use std::borrow::Cow;

use super::{element::ElementWalk, own_id::replaced};

/// Returns an answer about one meeting without `prefix` before its ids, in `meetingID` and in the text of a message. An
/// answer that cannot be read is returned unchanged.
pub fn unscoped<'x>(xml: &'x str, prefix: &str) -> Cow<'x, str> {
    if !xml.contains(prefix) {
        return Cow::Borrowed(xml);
    }
    let Some(places) = places(xml, prefix).filter(|places| !places.is_empty()) else {
        return Cow::Borrowed(xml);
    };
    let mut out = String::with_capacity(xml.len());
    let mut done = 0;
    for at in places {
        out.push_str(&xml[done..at]);
        done = at + prefix.len();
    }
    out.push_str(&xml[done..]);
    Cow::Owned(out)
}

/// Returns the element `raw` of a listed meeting without `prefix` before its id, whose text begins at the byte
/// `id_at`.
pub fn unscoped_element<'m>(raw: &'m str, id_at: usize, prefix: &str) -> Cow<'m, str> {
    match raw.split_at_checked(id_at) {
        Some((head, tail)) if tail.starts_with(prefix) && !prefix.is_empty() => {
            Cow::Owned([head, &tail[prefix.len()..]].concat())
        }
        _ => Cow::Borrowed(raw),
    }
}

/// Returns the element `raw` of a listed meeting with the id `own` in place of the one that the server shows, whose
/// text begins at the byte `id_at`.
pub fn element_with_id(raw: &str, id_at: usize, own: &str) -> String {
    let text = raw.get(id_at..).unwrap_or_default();
    let end = id_at + text.find('<').unwrap_or(text.len());
    replaced(raw, id_at..end, own)
}

/// Returns the positions at which the prefix is to be removed, in order.
fn places(xml: &str, prefix: &str) -> Option<Vec<usize>> {
    let mut walk = ElementWalk::response(xml).ok()?;
    // Positions of the walk count from the beginning of the document, which may follow white space.
    let start = xml.find(walk.slice(0, walk.position()))?;
    let mut places = Vec::new();
    while let Some((name, _)) = walk.child(1).ok()? {
        let from = start + walk.position();
        let text = &xml[from..from + xml[from..].find('<')?];
        match name {
            "meetingID" if text.starts_with(prefix) => places.push(from),
            "message" => places.extend(text.match_indices(prefix).map(|(at, _)| from + at)),
            _ => {}
        }
    }
    Some(places)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::{ServerReply, meetings};

    #[test]
    fn only_the_id_of_the_tenant_is_restored() {
        let xml = "\u{feff}\n<response>\n<returncode>SUCCESS</returncode>\n<meetingName>school~x</meetingName>\n\
            <meetingID>school~a &amp; b~school~c</meetingID>\n<attendees><attendee><customdata>\
            <meetingID>school~d</meetingID></customdata></attendee></attendees>\n<metadata>\n<k>school~e</k>\n\
            </metadata>\n</response>";
        let expected = xml.replacen("<meetingID>school~a", "<meetingID>a", 1);
        assert_eq!(unscoped(xml, "school~"), expected);
        assert_eq!(unscoped(xml, "other~"), xml);
        for broken in ["", "school~", "<html>school~</html>", "<response><meetingID>school~a"] {
            assert_eq!(unscoped(broken, "school~"), broken);
        }
    }

    #[test]
    fn messages_name_the_tenants_own_id() {
        let xml = "<response><returncode>FAILED</returncode><message>Meeting with id [school~a] not found.\
            </message></response>";
        assert!(unscoped(xml, "school~").contains("id [a] not"));
    }

    #[test]
    fn a_listed_meeting_has_its_own_id_again() {
        let xml = "<response><returncode>SUCCESS</returncode><meetings><meeting>\
            <metadata><meetingID>school~x</meetingID></metadata>\
            <meetingID>school~a</meetingID><internalMeetingID>i-1</internalMeetingID></meeting></meetings></response>";
        let Ok(ServerReply::Success(listed)) = meetings(xml) else { panic!() };
        let (raw, id_at) = (listed[0].raw, listed[0].meeting_id_at);
        let element = unscoped_element(raw, id_at, "school~");
        assert!(element.contains("<meetingID>a</meetingID>") && element.contains("school~x"), "{element}");
        assert_eq!(unscoped_element(raw, id_at, "other~"), raw);
        let named = element_with_id(raw, id_at, "a  & b");
        assert_eq!(named, raw.replace(">school~a<", ">a  &amp; b<"));
    }
}
