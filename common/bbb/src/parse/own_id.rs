//! Puts the exact id of a meeting into an answer about it: servers squeeze white space (wire-contract 3).

use std::{borrow::Cow, ops::Range};

use super::element::{ElementWalk, UnreadableReply};
use crate::reply::xml::push_escaped;

/// The position and the texts of the ids of one meeting.
struct ShownIds {
    /// Range of the text of `meetingID`, escaped.
    range: Range<usize>,
    meeting_id: String,
    internal_id: String,
}

/// Returns an answer about one meeting with its exact id. `exact` returns the id for the id that the answer shows and
/// the internal id, or `None` if the shown one is exact. It is called only for ids with white space, so that all other
/// answers cost one search. An answer that cannot be read is returned unchanged.
pub fn with_own_id(xml: &str, exact: impl FnOnce(&str, &str) -> Option<String>) -> Cow<'_, str> {
    const OPEN: &str = "<meetingID>";
    let has_white = xml.find(OPEN).is_some_and(|at| {
        let text = &xml[at + OPEN.len()..];
        text[..text.find('<').unwrap_or(text.len())].contains(char::is_whitespace)
    });
    if !has_white {
        return Cow::Borrowed(xml);
    }
    let Ok(Some(shown)) = ids(xml) else { return Cow::Borrowed(xml) };
    match exact(&shown.meeting_id, &shown.internal_id) {
        Some(own) => Cow::Owned(replaced(xml, shown.range, &own)),
        None => Cow::Borrowed(xml),
    }
}

/// Returns `xml` with the escaped `text` in place of a range.
pub(super) fn replaced(xml: &str, range: Range<usize>, text: &str) -> String {
    let mut out = String::with_capacity(xml.len() + text.len());
    out.push_str(xml.get(..range.start).unwrap_or_default());
    push_escaped(&mut out, text);
    out.push_str(xml.get(range.end..).unwrap_or_default());
    out
}

fn ids(xml: &str) -> Result<Option<ShownIds>, UnreadableReply> {
    let mut walk = ElementWalk::response(xml)?;
    // Positions of the walk count from the beginning of the document, which may follow white space.
    let Some(start) = xml.find(walk.slice(0, walk.position())) else { return Ok(None) };
    let (mut shown, mut internal_id) = (None, None);
    while let Some((name, _)) = walk.child(1)? {
        match name {
            "meetingID" => {
                let from = start + walk.position();
                let text = &xml[from..];
                let to = from + text.find('<').unwrap_or(text.len());
                shown = Some((from..to, walk.text()?.into_owned()));
            }
            "internalMeetingID" => internal_id = Some(walk.text()?.trim().to_owned()),
            _ => {}
        }
    }
    Ok(shown.zip(internal_id).map(|((range, meeting_id), internal_id)| ShownIds {
        range,
        meeting_id,
        internal_id,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_id_is_put_in_place_of_the_squeezed_one_and_every_other_byte_stays() {
        let xml = "\u{feff}\n<response>\n<returncode>SUCCESS</returncode>\n<meetingName>a b</meetingName>\n\
            <meetingID>a b</meetingID>\n<internalMeetingID>i-1</internalMeetingID>\n<metadata>\n\
            <meetingID>a b</meetingID>\n</metadata>\n</response>";
        let own = |shown: &str, internal: &str| {
            assert_eq!((shown, internal), ("a b", "i-1"));
            Some("a  <b".to_owned())
        };
        assert_eq!(with_own_id(xml, own), xml.replacen("<meetingID>a b", "<meetingID>a  &lt;b", 1));
        assert_eq!(with_own_id(xml, |_, _| None), xml);
        let other = xml.replace("a b", "ab");
        assert_eq!(with_own_id(&other, |_, _| panic!("no white space")), other);
        for broken in ["", "<html> </html>", "<response><meetingID>a b", "<meetingID>a b</meetingID>"] {
            assert_eq!(with_own_id(broken, |_, _| Some("x".into())), broken);
        }
    }
}
