//! A recording as the index keeps it. The view of applications is derived in [`super::shown`].

use std::collections::BTreeMap;

use usher_model::id::{ServerId, TenantId};

use super::{
    edits::RecordingEdits,
    facts::FormatFacts,
    names::{FormatName, GenerationId, RecordId},
};

/// A recording as the index keeps it. Formats keep the facts of their own metadata.xml, so that the order of
/// their arrival does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRecording {
    /// The id of the recording.
    pub id: RecordId,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The visibility that the first import gave the recording.
    pub initial: InitialVisibility,
    /// The fields that applications and operators changed.
    pub edits: RecordingEdits,
    /// The formats that can be played, by name. There is at least one.
    pub formats: BTreeMap<FormatName, StoredFormat>,
    /// Whether no deletion may take the recording.
    pub held: bool,
    /// When the recording was deleted, milliseconds since 1970; a deleted recording is in the trash until its purge.
    pub deleted_ms: Option<u64>,
    /// The server that made the recording, if it is known.
    pub server: Option<ServerId>,
}

/// One format of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFormat {
    /// The facts of its metadata.xml.
    pub facts: FormatFacts,
    /// The files that are played.
    pub generation: GenerationId,
    /// The number of files.
    pub files: u32,
    /// The size of all files, bytes.
    pub bytes: u64,
}

/// The visibility of a recording before any edit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InitialVisibility {
    /// Whether the recording is published.
    pub published: bool,
    /// Whether the recording is protected.
    pub protected: bool,
}
