//! The fields of a recording that an application or an operator changed. They survive every import (R5).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The changed fields; a field without a change is absent.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct RecordingEdits {
    /// Whether the recording is published.
    pub published: Option<bool>,
    /// Whether the recording is protected.
    pub protected: Option<bool>,
    /// The changed metadata, keys in lower case; `None` is a removed key.
    pub meta: BTreeMap<String, Option<String>>,
}

impl RecordingEdits {
    /// Adds later edits: of two edits of one field the later one holds.
    pub fn then(&mut self, later: Self) {
        self.published = later.published.or(self.published);
        self.protected = later.protected.or(self.protected);
        self.meta.extend(later.meta);
    }
}
