//! Recordings, as tests and operators add and see them.

use crate::internal_id::hash_of;

/// The state of a recording, which decides its visibility.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimRecordingState {
    /// The recording is being rendered.
    Processing,
    /// The recording is rendered and not published yet.
    Processed,
    /// The recording is visible to all users.
    Published,
    /// The recording was published and is hidden.
    Unpublished,
    /// The recording is deleted; its id is still known.
    Deleted,
}

impl SimRecordingState {
    /// Returns the name of the state in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Processing => "processing",
            Self::Processed => "processed",
            Self::Published => "published",
            Self::Unpublished => "unpublished",
            Self::Deleted => "deleted",
        }
    }
}

/// One playback format of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFormat {
    /// The type: `presentation`, `video`, ….
    pub kind: String,
    /// The time that rendering took, in milliseconds.
    pub processing_time_ms: u64,
    /// The length in whole minutes.
    pub length_minutes: u64,
    /// The size in bytes.
    pub size: u64,
}

/// The subtitles or captions of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimTrack {
    /// The kind: `subtitles` or `captions`.
    pub kind: String,
    /// The language tag, such as `en-US`.
    pub lang: String,
    /// The label that a player shows to users.
    pub label: String,
    /// The content of the uploaded file.
    pub text: String,
}

/// A recording of a meeting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRecording {
    /// The `recordID`: the internal id of the recorded meeting.
    pub record_id: String,
    /// The `meetingID` of the recorded meeting.
    pub meeting_id: String,
    /// The name of the recording.
    pub name: String,
    /// The start of the meeting, in milliseconds since 1970.
    pub start_time_ms: u64,
    /// The end of the meeting, in milliseconds since 1970.
    pub end_time_ms: u64,
    /// The state of processing and publication.
    pub state: SimRecordingState,
    /// The end of the state `processing`, in milliseconds since 1970.
    pub ready_at_ms: u64,
    /// The number of users who took part.
    pub participants: usize,
    /// The metadata, with keys in lower case.
    pub metadata: Vec<(String, String)>,
    /// For a recorded breakout room: internal id of the parent, sequence, free join.
    pub breakout: Option<(String, u32, bool)>,
    /// The playback formats, in the order of the list.
    pub formats: Vec<SimFormat>,
    /// The subtitles and captions.
    pub tracks: Vec<SimTrack>,
    /// How often a change of the state has written the metadata file anew: then addresses have
    /// white space around them, and each time the name is escaped once more.
    pub rewrites: u32,
}

impl SimRecording {
    /// Returns a published recording of a meeting of one hour that began at `start_time_ms`.
    pub fn new(meeting_id: &str, start_time_ms: u64) -> Self {
        Self {
            record_id: format!("{}-{start_time_ms}", hash_of(meeting_id)),
            meeting_id: meeting_id.to_owned(),
            name: format!("Recording of {meeting_id}"),
            start_time_ms,
            end_time_ms: start_time_ms + 3_600_000,
            state: SimRecordingState::Published,
            ready_at_ms: 0,
            participants: 3,
            metadata: Vec::new(),
            breakout: None,
            formats: vec![SimFormat {
                kind: "presentation".into(),
                processing_time_ms: 7177,
                length_minutes: 60,
                size: 524_288,
            }],
            tracks: Vec::new(),
            rewrites: 0,
        }
    }

    /// Returns the recording in this state.
    #[must_use]
    pub fn in_state(mut self, state: SimRecordingState) -> Self {
        self.state = state;
        self
    }

    /// Adds metadata; the key becomes lower case, as on a server.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Returns one value of the metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}
