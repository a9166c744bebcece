//! The question of a list: which recordings of a tenant are wanted.

use std::collections::BTreeSet;

use usher_model::id::TenantId;

use super::shown::{RecordingState, ShownRecording};

/// The question of a list. The answer is sorted by start, newest first, then by id, greatest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingQuery {
    /// The owner of the recordings.
    pub tenant: TenantId,
    /// The ids to look for.
    pub ids: WantedIds,
    /// The states to look for.
    pub states: BTreeSet<RecordingState>,
    /// The filters of metadata, which must all match.
    pub metadata: Vec<MetadataFilter>,
    /// The number of recordings before the page.
    pub offset: u64,
    /// The largest number of recordings of the page; `None` means all.
    pub limit: Option<u32>,
}

/// The ids that a list asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedIds {
    /// All recordings of the owner.
    All,
    /// Recordings whose ids begin with one of these texts.
    RecordPrefixes(Vec<String>),
    /// Recordings of these meetings, by the ids that the tenant knows.
    Meetings(Vec<String>),
}

/// A filter of metadata.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataFilter {
    /// The key, in lower case.
    pub key: String,
    /// The pattern of its value.
    pub value: TextPattern,
}

/// A text with a wildcard `%` at its ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextPattern {
    /// The text is equal.
    Equal(String),
    /// The text begins so.
    Begins(String),
    /// The text ends so.
    Ends(String),
    /// The text contains this part.
    Contains(String),
}

impl TextPattern {
    /// Reads a filter of the BBB API.
    pub fn parse(text: &str) -> Self {
        match (text.strip_prefix('%'), text.strip_suffix('%')) {
            (Some(rest), Some(_)) => Self::Contains(rest.strip_suffix('%').unwrap_or(rest).to_owned()),
            (Some(end), None) => Self::Ends(end.to_owned()),
            (None, Some(start)) => Self::Begins(start.to_owned()),
            (None, None) => Self::Equal(text.to_owned()),
        }
    }

    /// Returns whether a text matches.
    pub fn admits(&self, text: &str) -> bool {
        match self {
            Self::Equal(whole) => text == whole,
            Self::Begins(start) => text.starts_with(start),
            Self::Ends(end) => text.ends_with(end),
            Self::Contains(part) => text.contains(part),
        }
    }
}

impl RecordingQuery {
    /// Returns whether a recording is wanted: the meaning of a query, by which every index is tested.
    pub fn admits(&self, recording: &ShownRecording) -> bool {
        let by_id = match &self.ids {
            WantedIds::All => true,
            WantedIds::RecordPrefixes(starts) => {
                starts.iter().any(|start| recording.id.as_str().starts_with(start))
            }
            WantedIds::Meetings(ids) => ids.contains(&recording.meeting_id),
        };
        let held = |filter: &MetadataFilter| {
            let mut values = recording.meta.iter().filter(|(key, _)| key.eq_ignore_ascii_case(&filter.key));
            values.any(|(_, value)| filter.value.admits(value))
        };
        recording.tenant == self.tenant
            && by_id
            && self.states.contains(&recording.state)
            && self.metadata.iter().all(held)
    }
}
