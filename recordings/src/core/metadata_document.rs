//! metadata.xml, the document in which a BBB server describes one format of a recording: read from servers, and written
//! for players. The document is that of the facts and edits, so that a player shows an edited name (R5).

mod reading;
mod writing;

use usher_model::id::TenantId;

use super::facts::FormatFacts;

pub use reading::{DocumentError, read};
pub use writing::render;

/// The content of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MetadataDocument {
    /// The facts, with the ids that the tenant knows, without marks and callback addresses.
    pub facts: FormatFacts,
    /// The owner, by the mark of Usher; a recording without a mark is that of tenant `default`.
    pub tenant: TenantId,
}

#[cfg(test)]
mod tests;
