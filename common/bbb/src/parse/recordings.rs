//! Reading the answer of `getRecordings`, in every shape that servers give it.

use std::{borrow::Cow, ops::Range};

use super::{
    ServerReply, UnreadableReply, digits,
    element::ElementWalk,
    listing::{self, ParsedList},
};

/// How the names of our own metadata begin.
const OURS: &str = "usher-";
const CDATA: &str = "<![CDATA[";

/// What a server has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecordingList<'a> {
    /// The recordings, as they came; none where the server lists only pages (`allowFetchAllRecordings`
    /// is off).
    pub recordings: Option<Vec<ListedRecording<'a>>>,
    /// Rows that all pages together have, where the answer is a page.
    pub total: Option<usize>,
}

/// One recording as a server lists it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedRecording<'a> {
    /// The complete `<recording>` element, as it came.
    raw: &'a str,
    /// The `recordID`, which is the internal id of the recorded meeting.
    pub record_id: String,
    /// The `meetingID` on the server.
    pub meeting_id: String,
    /// `published`, `unpublished`, …; where the server does not say, as `published` has it.
    pub state: String,
    /// Milliseconds since 1970; 0 if the server does not say.
    pub start_time_ms: i64,
    /// Keys are as the server gave them, without `meta_`.
    pub metadata: Vec<(String, String)>,
    /// Bytes of `raw` that nobody is to see.
    ours: Vec<Range<usize>>,
    /// Where in `raw` the meeting's id begins, each time.
    ids_at: Vec<usize>,
}

impl<'a> ListedRecording<'a> {
    /// Returns the tenant it carries our mark for.
    pub fn tenant(&self) -> Option<&str> {
        let mark = self.metadata.iter().find(|(key, _)| key.eq_ignore_ascii_case("usher-tenant"));
        mark.map(|(_, tenant)| tenant.as_str())
    }

    /// Returns the application's own metadata, in order; the case of keys does not matter.
    pub fn own_metadata(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = self.metadata.iter().filter(|(name, _)| !is_ours(name));
        own.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Returns the element without our metadata, and with `prefix` taken off the meeting's id.
    pub fn shown(&self, prefix: &str) -> Cow<'a, str> {
        let ids = self.ids_at.iter().filter(|at| {
            !prefix.is_empty() && self.raw.get(**at..).is_some_and(|text| text.starts_with(prefix))
        });
        let mut cuts: Vec<Range<usize>> = ids.map(|at| *at..*at + prefix.len()).collect();
        if cuts.is_empty() && self.ours.is_empty() {
            return Cow::Borrowed(self.raw);
        }
        cuts.extend(self.ours.iter().cloned());
        cuts.sort_by_key(|cut| cut.start);
        let (mut out, mut done) = (String::with_capacity(self.raw.len()), 0);
        for cut in cuts {
            out.push_str(self.raw.get(done..cut.start).unwrap_or_default());
            done = cut.end;
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
/// It is none, or not a whole one.
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
