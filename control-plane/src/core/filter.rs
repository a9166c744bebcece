//! Filters of lists: a subset of AIP-160, read once for a request and applied to each entry.
//!
//! A filter is bounded in its length, its depth and the number of its comparisons, so that the cost
//! of an entry is bounded too. Comparisons read typed values of an entry; an absent value meets no
//! comparison but `!=`.

mod expression;
mod fault;
mod node;
mod order;
mod parser;
mod token;
mod value;

pub use self::{
    expression::ListFilter,
    fault::FilterFault,
    order::{ListOrder, TopEntries, UnknownOrder},
    parser::{LONGEST, MOST_COMPARISONS, MOST_NESTED},
    value::{FieldKind, FieldSpec, FieldValue, FilteredEntry},
};

#[cfg(test)]
mod tests;
