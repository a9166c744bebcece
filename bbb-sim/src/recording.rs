//! Recordings, as tests and operators put them there and see them.

/// How far a recording is, and who may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SimState {
    /// Being rendered.
    Processing,
    /// Rendered, and published by nobody yet.
    Processed,
    /// For everybody.
    Published,
    /// Hidden.
    Unpublished,
    /// Deleted, and still known.
    Deleted,
}

impl SimState {
    /// Returns its name, as in the API.
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

/// One way to play a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimFormat {
    /// `presentation`, `video`, ….
    pub kind: String,
    /// How long rendering took, milliseconds.
    pub processing_time_ms: u64,
    /// Whole minutes.
    pub length_minutes: u64,
    /// Bytes.
    pub size: u64,
}

/// Subtitles or captions of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimTrack {
    /// `subtitles` or `captions`.
    pub kind: String,
    /// A language tag.
    pub lang: String,
    /// What people see.
    pub label: String,
    /// The file.
    pub text: String,
}

/// A recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimRecording {
    /// Its `recordID`, the internal id of the recorded meeting.
    pub record_id: String,
    /// The recorded meeting's `meetingID`.
    pub meeting_id: String,
    /// Its name.
    pub name: String,
    /// Start, milliseconds since 1970.
    pub start_time_ms: u64,
    /// End, milliseconds since 1970.
    pub end_time_ms: u64,
    /// How far it is.
    pub state: SimState,
    /// When it stops being `processing`, milliseconds since 1970.
    pub ready_at_ms: u64,
    /// Everybody who was in it.
    pub participants: usize,
    /// Metadata, keys in lower case.
    pub metadata: Vec<(String, String)>,
    /// Internal id of the parent, sequence, free join: of a recorded breakout room.
    pub breakout: Option<(String, u32, bool)>,
    /// How it can be played.
    pub formats: Vec<SimFormat>,
    /// Its subtitles and captions.
    pub tracks: Vec<SimTrack>,
}

impl SimRecording {
    /// Returns a published recording of an hour's meeting that began at `start_time_ms`.
    pub fn new(meeting_id: &str, start_time_ms: u64) -> Self {
        Self {
            record_id: format!("{}-{start_time_ms}", crate::world::hash_of(meeting_id)),
            meeting_id: meeting_id.to_owned(),
            name: format!("Recording of {meeting_id}"),
            start_time_ms,
            end_time_ms: start_time_ms + 3_600_000,
            state: SimState::Published,
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
        }
    }

    /// Gives it a state.
    #[must_use]
    pub fn in_state(mut self, state: SimState) -> Self {
        self.state = state;
        self
    }

    /// Adds metadata; the key is lower-cased, as servers do it.
    #[must_use]
    pub fn with(mut self, key: &str, value: &str) -> Self {
        self.metadata.push((key.to_ascii_lowercase(), value.to_owned()));
        self
    }

    /// Returns a value of the metadata.
    pub fn metadata(&self, key: &str) -> Option<&str> {
        self.metadata.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }
}
