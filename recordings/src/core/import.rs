//! The decision about a format that arrives.

use usher_model::id::{ServerId, TenantId};

use super::{
    edits::RecordingEdits,
    facts::FormatFacts,
    names::GenerationId,
    stored::{InitialVisibility, StoredFormat, StoredRecording},
};

/// A format that arrives, with all its files stored or announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArrivingFormat {
    /// The facts of its metadata.xml.
    pub facts: FormatFacts,
    /// The name of its files.
    pub generation: GenerationId,
    /// The number of files.
    pub files: u32,
    /// The size of all files, bytes.
    pub bytes: u64,
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The server that made it, if it is known.
    pub server: Option<ServerId>,
}

/// The visibility of a recording that arrives for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportDefaults {
    /// Whether it is published.
    pub published: ImportPublication,
    /// Whether it is protected.
    pub protected: bool,
}

/// The publication of a recording that arrives for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportPublication {
    /// As on the server that made it.
    AsServer,
    /// The recording is published.
    Yes,
    /// The recording is unpublished.
    No,
}

/// The reason why a format is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportRefusal {
    /// The recording was deleted (R4).
    Deleted,
    /// The recording belongs to another tenant (R8).
    OtherTenant,
}

/// The decision about a format that arrives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportDecision {
    /// The format is not taken.
    Refused(ImportRefusal),
    /// The library has it already (R14).
    Unchanged,
    /// The format is taken.
    Commit {
        /// The recording after the import.
        recording: StoredRecording,
        /// The generation that plays no longer, if there was another one.
        retired: Option<GenerationId>,
    },
}

/// Decides about a format that arrives, by the recording that the library has of its id. Edits are never touched (R5):
/// the facts of the format are replaced, and the edits stay over them.
pub fn decide(
    stored: Option<&StoredRecording>,
    has_tombstone: bool,
    arriving: &ArrivingFormat,
    defaults: ImportDefaults,
) -> ImportDecision {
    if has_tombstone || stored.is_some_and(|stored| stored.deleted_ms.is_some()) {
        return ImportDecision::Refused(ImportRefusal::Deleted);
    }
    if stored.is_some_and(|stored| stored.tenant != arriving.tenant) {
        return ImportDecision::Refused(ImportRefusal::OtherTenant);
    }
    let mut recording = stored.cloned().unwrap_or_else(|| new_recording(arriving, defaults));
    let format = StoredFormat {
        facts: arriving.facts.clone(),
        generation: arriving.generation.clone(),
        files: arriving.files,
        bytes: arriving.bytes,
    };
    let former = recording.formats.insert(arriving.facts.playback.format.clone(), format);
    if stored == Some(&recording) {
        return ImportDecision::Unchanged;
    }
    let retired = former.map(|former| former.generation).filter(|former| *former != arriving.generation);
    ImportDecision::Commit { recording, retired }
}

fn new_recording(arriving: &ArrivingFormat, defaults: ImportDefaults) -> StoredRecording {
    let published = match defaults.published {
        ImportPublication::AsServer => arriving.facts.published,
        ImportPublication::Yes => true,
        ImportPublication::No => false,
    };
    StoredRecording {
        id: arriving.facts.record_id.clone(),
        tenant: arriving.tenant.clone(),
        initial: InitialVisibility { published, protected: defaults.protected },
        edits: RecordingEdits::default(),
        formats: std::collections::BTreeMap::new(),
        held: false,
        deleted_ms: None,
        server: arriving.server.clone(),
    }
}

#[cfg(test)]
mod tests;
