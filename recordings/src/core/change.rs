//! The changes that applications and operators make, as pure functions of the recording.

use std::collections::BTreeMap;

use super::{edits::RecordingEdits, metadata_keys::is_own, stored::StoredRecording};

/// A change of a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VisibleChange {
    /// Publishes or unpublishes it.
    Publish(bool),
    /// Changes fields of the recording.
    Update {
        /// The protection; `None` leaves it as it is.
        protect: Option<bool>,
        /// The metadata: keys in lower case, an empty value removes the key.
        meta: BTreeMap<String, String>,
    },
    /// Moves it to the trash.
    Delete,
    /// Takes it out of the trash.
    Restore,
}

impl VisibleChange {
    /// Returns the word for the journal.
    pub fn journal(&self) -> &'static str {
        match self {
            Self::Publish(true) => "published",
            Self::Publish(false) => "unpublished",
            Self::Update { .. } => "updated",
            Self::Delete => "deleted",
            Self::Restore => "restored",
        }
    }
}

/// Returns the recording after a change; `None` if they are equal. A held recording is not deleted, and a
/// deleted one is only restored.
pub fn apply(recording: &StoredRecording, change: &VisibleChange, now_ms: u64) -> Option<StoredRecording> {
    let mut changed = recording.clone();
    match change {
        VisibleChange::Restore => changed.deleted_ms = None,
        _ if recording.deleted_ms.is_some() => {}
        VisibleChange::Delete if recording.held => {}
        VisibleChange::Delete => changed.deleted_ms = Some(now_ms),
        VisibleChange::Publish(published) => {
            changed.edits.then(RecordingEdits { published: Some(*published), ..RecordingEdits::default() });
        }
        VisibleChange::Update { protect, meta } => {
            let own = meta.iter().filter(|(key, _)| is_own(key));
            let meta = own.map(|(key, value)| {
                (key.to_ascii_lowercase(), Some(value.clone()).filter(|value| !value.is_empty()))
            });
            let (protected, meta) = (*protect, meta.collect());
            changed.edits.then(RecordingEdits { published: None, protected, meta });
        }
    }
    (changed != *recording).then_some(changed)
}
