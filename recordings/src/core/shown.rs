//! The view of a recording that applications have: the facts of its formats with its edits over them.

use std::collections::BTreeMap;

use usher_model::id::TenantId;

use super::{
    facts::{BreakoutFacts, FormatFacts},
    names::{FormatName, RecordId},
    stored::{StoredFormat, StoredRecording},
};

/// The state of a recording. The states `processing` and `processed` are those of servers, which no library has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordingState {
    /// Visible to all users.
    Published,
    /// Hidden from all users.
    Unpublished,
    /// In the trash until its purge.
    Deleted,
}

impl RecordingState {
    /// Returns the word of the BBB API.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Deleted => "deleted",
        }
    }

    /// Reads the word of the BBB API.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Published, Self::Unpublished, Self::Deleted].into_iter().find(|state| state.as_str() == word)
    }
}

/// A recording as applications see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownRecording {
    /// The id of the recording.
    pub id: RecordId,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The id of the meeting, as the tenant knows it.
    pub meeting_id: String,
    /// The internal id of the meeting.
    pub internal_id: String,
    /// The name that users see.
    pub name: String,
    /// Whether the meeting was a breakout room.
    pub is_breakout: bool,
    /// The state of publication.
    pub state: RecordingState,
    /// Whether only passes play the recording.
    pub protected: bool,
    /// The start of the meeting, milliseconds since 1970.
    pub start_ms: u64,
    /// The end of the meeting, milliseconds since 1970.
    pub end_ms: u64,
    /// The number of users.
    pub participants: u32,
    /// The size of the raw recording, bytes.
    pub raw_size: u64,
    /// The metadata, by key; the keys that BBB itself adds are in mixed case.
    pub meta: BTreeMap<String, String>,
    /// The parent of a breakout room.
    pub breakout: Option<BreakoutFacts>,
    /// The `recordID`s of the meeting's own breakout rooms.
    pub breakout_rooms: Vec<String>,
    /// The formats, by name.
    pub formats: BTreeMap<FormatName, StoredFormat>,
}

impl StoredRecording {
    /// Returns the recording as applications see it.
    ///
    /// Facts that a format lacks come from the others; of different facts those of the richest format hold, and of
    /// equally rich ones those of the first by name.
    pub fn shown(&self) -> ShownRecording {
        let mut facts: Vec<&FormatFacts> = self.formats.values().map(|format| &format.facts).collect();
        facts.sort_by_key(|facts| (facts.meeting.is_none(), facts.playback.format.clone()));
        let meeting = facts.iter().find_map(|facts| facts.meeting.as_ref());
        let first = facts.first();
        let mut meta = BTreeMap::new();
        for facts in facts.iter().rev() {
            meta.extend(facts.meta.clone());
        }
        for (key, value) in &self.edits.meta {
            match value {
                Some(value) => drop(meta.insert(key.clone(), value.clone())),
                None => drop(meta.remove(key)),
            }
        }
        let published = self.edits.published.unwrap_or(self.initial.published);
        let state = match (self.deleted_ms, published) {
            (Some(_), _) => RecordingState::Deleted,
            (None, true) => RecordingState::Published,
            (None, false) => RecordingState::Unpublished,
        };
        let name = meta.get("name").or_else(|| meta.get("meetingName")).cloned();
        let meeting_id = meeting.map(|meeting| meeting.external_id.clone());
        ShownRecording {
            id: self.id.clone(),
            tenant: self.tenant.clone(),
            meeting_id: meeting_id.or_else(|| meta.get("meetingId").cloned()).unwrap_or_default(),
            internal_id: meeting.map_or_else(|| self.id.to_string(), |meeting| meeting.internal_id.clone()),
            name: name.or_else(|| meeting.map(|meeting| meeting.name.clone())).unwrap_or_default(),
            is_breakout: meeting.is_some_and(|meeting| meeting.is_breakout),
            state,
            protected: self.edits.protected.unwrap_or(self.initial.protected),
            start_ms: first.map_or(0, |facts| facts.start_ms),
            end_ms: first.map_or(0, |facts| facts.end_ms),
            participants: facts.iter().find_map(|facts| facts.participants).unwrap_or(0),
            raw_size: facts.iter().find_map(|facts| facts.raw_size).unwrap_or(0),
            meta,
            breakout: facts.iter().find_map(|facts| facts.breakout.clone()),
            breakout_rooms: facts.first().map(|facts| facts.breakout_rooms.clone()).unwrap_or_default(),
            formats: self.formats.clone(),
        }
    }
}
