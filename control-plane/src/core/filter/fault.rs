//! The reasons why a filter is refused.

/// A fault of a filter, for the person who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterFault {
    /// The text is too long.
    #[error("is longer than {0} bytes")]
    TooLong(usize),
    /// Parentheses and NOT are nested too deeply.
    #[error("nests deeper than {0} levels")]
    TooDeep(usize),
    /// There are too many comparisons.
    #[error("has more than {0} comparisons")]
    TooMany(usize),
    /// A string has no end.
    #[error("has a string without its closing `{0}`")]
    OpenString(char),
    /// The text is not of the grammar at a place.
    #[error("has {found} where {wanted} must be, at character {at}")]
    Unexpected {
        /// The token that was found, or its absence.
        found: String,
        /// The tokens that may be there.
        wanted: &'static str,
        /// Place in the text, counted in characters from 1.
        at: usize,
    },
    /// Entries have no field of that name.
    #[error("names the field `{name}`, which is none of {known}")]
    UnknownField {
        /// The name in the filter.
        name: String,
        /// The names of all fields.
        known: String,
    },
    /// The value does not fit the field.
    #[error("compares `{field}` with `{value}`, which is not {wanted}")]
    Unfit {
        /// The name of the field.
        field: &'static str,
        /// The value in the filter.
        value: String,
        /// The values that fit.
        wanted: String,
    },
    /// The field has no order.
    #[error("compares `{field}` by `{comparator}`, but it has no order: use `=`, `!=` or `:`")]
    NoOrder {
        /// The name of the field.
        field: &'static str,
        /// The comparator in the filter.
        comparator: &'static str,
    },
}
