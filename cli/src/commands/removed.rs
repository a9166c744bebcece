//! An entry that a watch tells as gone.

use serde::Serialize;

use crate::printer::TableRow;

/// The name of an entry that is gone.
#[derive(Serialize)]
pub(super) struct RemovedRow {
    name: String,
}

impl RemovedRow {
    /// Returns the row of a resource name.
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.to_owned() }
    }
}

impl TableRow for RemovedRow {
    const COLUMNS: &'static [&'static str] = &["NAME"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
