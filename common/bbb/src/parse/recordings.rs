//! Reads the answer of `getRecordings` in every form that servers use (wire-contract 3).

use std::{borrow::Cow, ops::Range};

use super::{
    element::{ElementWalk, UnreadableReply},
    listing::{self, ParsedList},
    numbers::digits,
    outcome::ServerReply,
};
use crate::{query::decode, reply::xml::push_escaped};

/// The prefix of the metadata names of Usher.
const OURS: &str = "usher-";
const CDATA: &str = "<![CDATA[";

/// The recordings that a server listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingList<'a> {
    /// Recordings in the order of the server; `None` if the server lists only pages (`allowFetchAllRecordings` is
    /// off).
    pub recordings: Option<Vec<ListedRecording<'a>>>,
    /// Number of recordings of all pages, if the answer is a page.
    pub total: Option<usize>,
}

/// One recording in the list of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedRecording<'a> {
    /// The complete `<recording>` element, unchanged.
    raw: &'a str,
    /// The `recordID`, which is the internal id of the recorded meeting.
    pub record_id: String,
    /// The `meetingID` on the server.
    pub meeting_id: String,
    /// State such as `published` or `unpublished`; derived from the element `published` if the server sends none.
    pub state: String,
    /// Start time, milliseconds since 1970; 0 if it is absent.
    pub start_time_ms: i64,
    /// Metadata with the keys of the server, without `meta_`.
    pub metadata: Vec<(String, String)>,
    /// Ranges of `raw` that applications must not see.
    ours: Vec<Range<usize>>,
    /// Positions in `raw` at which the meeting id begins.
    ids_at: Vec<usize>,
}

impl<'a> ListedRecording<'a> {
    /// Returns the tenant in the mark of Usher, if the recording has one.
    pub fn tenant(&self) -> Option<&str> {
        let mark = self.metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case("usher-tenant"));
        mark.map(|(_, tenant)| tenant.as_str())
    }

    /// Returns the exact id of the tenant's meeting, if Usher marked the meeting with it.
    pub fn exact_id(&self) -> Option<Cow<'_, str>> {
        let mark = self.metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case("usher-id"));
        mark.map(|(_, id)| decode(id.trim()))
    }

    /// Returns the metadata of the application, without that of Usher, in order.
    pub fn own_metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.metadata.iter().filter(|(name, _)| !is_ours(name));
        own.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the element without the metadata of Usher and without `prefix` before the meeting id.
    pub fn shown(&self, prefix: &str) -> Cow<'a, str> {
        let ids = self.ids_at.iter().filter(|at| {
            !prefix.is_empty() && self.raw.get(**at..).is_some_and(|text| text.starts_with(prefix))
        });
        self.edited(ids.map(|at| (*at..*at + prefix.len(), String::new())).collect())
    }

    /// Returns the element without the metadata of Usher and with the id `own` in place of the one that the server
    /// shows.
    pub fn shown_as(&self, own: &str) -> Cow<'a, str> {
        let named = self.ids_at.iter().map(|at| {
            let text = self.raw.get(*at..).unwrap_or_default();
            let in_cdata = self.raw.get(..*at).is_some_and(|before| before.ends_with(CDATA));
            let end = text.find(if in_cdata { "]]>" } else { "<" }).unwrap_or(text.len());
            let mut new = String::new();
            if in_cdata {
                new.push_str(own);
            } else {
                push_escaped(&mut new, own);
            }
            (*at..*at + end, new)
        });
        self.edited(named.collect())
    }

    /// Returns the element with these replacements, and without the metadata of Usher.
    fn edited(&self, mut edits: Vec<(Range<usize>, String)>) -> Cow<'a, str> {
        if edits.is_empty() && self.ours.is_empty() {
            return Cow::Borrowed(self.raw);
        }
        edits.extend(self.ours.iter().map(|cut| (cut.clone(), String::new())));
        edits.sort_by_key(|(range, _)| range.start);
        let (mut out, mut done) = (String::with_capacity(self.raw.len()), 0);
        for (range, new) in edits {
            out.push_str(self.raw.get(done..range.start).unwrap_or_default());
            out.push_str(&new);
            done = range.end;
        }
        out.push_str(self.raw.get(done..).unwrap_or_default());
        Cow::Owned(out)
    }
}

fn is_ours(key: &str) -> bool {
    key.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// Reads the answer of `getRecordings`.
///
/// # Errors
/// The body is not a complete answer.
pub fn recordings(body: &str) -> Result<ServerReply<RecordingList<'_>>, UnreadableReply> {
    let mut total = None;
    let read = listing::read(body, ("recordings", "recording"), recording, |name, walk| {
        match name {
            "totalElements" => total = count(&walk.text()?),
            "pagination" => {
                while let Some((name, _)) = walk.child(2)? {
                    if name == "totalElements" {
                        total = count(&walk.text()?);
                    }
                }
            }
            _ => {}
        }
        Ok(())
    })?;
    match read {
        ServerReply::Failed(failure) => Ok(ServerReply::Failed(failure)),
        ServerReply::Success(ParsedList { entries: None, said }) if said.key != "noRecordings" => {
            Err(UnreadableReply::Missing("recordings"))
        }
        ServerReply::Success(ParsedList { entries, .. }) => {
            Ok(ServerReply::Success(RecordingList { recordings: entries, total }))
        }
    }
}

fn recording<'a>(walk: &mut ElementWalk<'a>, at: usize) -> Result<ListedRecording<'a>, UnreadableReply> {
    let depth = walk.depth();
    let mut recording = ListedRecording::default();
    let mut published = false;
    while let Some((name, _)) = walk.child(depth)? {
        let text_at = walk.position() - at;
        match name {
            "recordID" => recording.record_id = walk.text()?.trim().into(),
            "meetingID" => {
                recording.ids_at.push(text_at);
                recording.meeting_id = walk.text()?.into_owned();
            }
            "published" => published = walk.text()?.trim().eq_ignore_ascii_case("true"),
            "state" => recording.state = walk.text()?.trim().to_ascii_lowercase(),
            "startTime" => recording.start_time_ms = digits(&walk.text()?),
            "metadata" => {
                while let Some((key, key_at)) = walk.child(depth + 1)? {
                    if key == "meetingId" {
                        recording.ids_at.push(walk.position() - at);
                    }
                    let value = walk.text()?.into_owned();
                    if is_ours(key) {
                        recording.ours.push(key_at - at..walk.position() - at);
                    }
                    recording.metadata.push((key.to_owned(), value));
                }
            }
            _ => {}
        }
    }
    recording.raw = walk.slice(at, walk.position());
    if recording.record_id.is_empty() {
        return Err(UnreadableReply::Missing("recordID"));
    }
    for id_at in &mut recording.ids_at {
        if recording.raw.get(*id_at..).is_some_and(|text| text.starts_with(CDATA)) {
            *id_at += CDATA.len();
        }
    }
    if recording.state.is_empty() {
        recording.state = if published { "published" } else { "unpublished" }.into();
    }
    Ok(recording)
}

fn count(text: &str) -> Option<usize> {
    usize::try_from(digits(text)).ok()
}

#[cfg(test)]
mod tests;
