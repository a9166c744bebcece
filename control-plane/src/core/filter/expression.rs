//! The filter as it is applied to entries.

use super::{fault::FilterFault, node::FilterNode, parser, value::FilteredEntry};

/// A filter that was read for entries of one type.
#[derive(Debug, Clone, PartialEq)]
pub struct ListFilter(Option<FilterNode>);

impl ListFilter {
    /// Reads a filter for entries of the type `E`. An empty text admits every entry.
    ///
    /// # Errors
    /// The first fault of the text.
    pub fn parse<E: FilteredEntry>(text: &str) -> Result<Self, FilterFault> {
        parser::parse(text, E::FIELDS).map(Self)
    }

    /// Returns whether every entry is admitted.
    pub fn admits_all(&self) -> bool {
        self.0.is_none()
    }

    /// Returns whether an entry is admitted. The filter must have been read for its type.
    pub fn admits(&self, entry: &impl FilteredEntry) -> bool {
        self.0.as_ref().is_none_or(|node| node.admits(entry))
    }
}
