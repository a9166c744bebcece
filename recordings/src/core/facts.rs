//! The facts in the metadata.xml of a format: the knowledge of the BBB server that made the recording.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::names::{FormatName, RecordId};

/// The facts of one format, as its metadata.xml has them. Each format of a recording has its own file, and old
/// formats lack a part of the facts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormatFacts {
    /// The id of the recording.
    pub record_id: RecordId,
    /// Whether the server had published the recording. The state `available` of old video formats counts as published.
    pub published: bool,
    /// The start of the meeting, milliseconds since 1970.
    pub start_ms: u64,
    /// The end of the meeting, milliseconds since 1970.
    pub end_ms: u64,
    /// The number of users; absent in old video formats.
    pub participants: Option<u32>,
    /// The element `meeting`; absent in old video formats.
    pub meeting: Option<MeetingFacts>,
    /// The metadata of the meeting, without the marks and addresses of Usher; keys as in the file.
    pub meta: BTreeMap<String, String>,
    /// The parent of a breakout room.
    pub breakout: Option<BreakoutFacts>,
    /// The `recordID`s of the meeting's own breakout rooms.
    pub breakout_rooms: Vec<String>,
    /// The size of the raw recording, bytes.
    pub raw_size: Option<u64>,
    /// The playback of this format.
    pub playback: PlaybackFacts,
}

/// The element `meeting` of metadata.xml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MeetingFacts {
    /// The internal id of the meeting.
    pub internal_id: String,
    /// The external id, as the tenant knows it.
    pub external_id: String,
    /// The name of the meeting.
    pub name: String,
    /// Whether the meeting is a breakout room.
    pub is_breakout: bool,
}

/// The element `breakout` of metadata.xml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreakoutFacts {
    /// The internal id of the parent meeting.
    pub parent_id: String,
    /// The number of the room, from 1.
    pub sequence: u32,
    /// Whether users choose the room themselves.
    pub free_join: Option<bool>,
}

/// The element `playback` of metadata.xml.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlaybackFacts {
    /// The name of the format.
    pub format: FormatName,
    /// The path of the link and its query, without the host of the server, such as `/playback/presentation/2.3/ID`.
    pub link: String,
    /// The time that processing took, milliseconds.
    pub processing_ms: u64,
    /// The recorded time, milliseconds.
    pub length_ms: u64,
    /// The size of the format, bytes; absent in old video formats.
    pub size: Option<u64>,
    /// The preview images, in the order of the file.
    pub previews: Vec<PreviewImage>,
}

/// A preview image of a format.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PreviewImage {
    /// The path without the host of the server.
    pub path: String,
    /// The width in pixels.
    pub width: u32,
    /// The height in pixels.
    pub height: u32,
    /// The text for readers who do not see the image.
    pub alt: String,
}
