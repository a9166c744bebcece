//! The parts of a filter, as they are applied to entries.

use super::{
    token::Comparator,
    value::{FieldValue, FilteredEntry},
};

/// A part of a filter.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum FilterNode {
    All(Vec<FilterNode>),
    Any(Vec<FilterNode>),
    Not(Box<FilterNode>),
    Compare { field: usize, comparator: Comparator, operand: ComparedValue },
}

/// The value that a field is compared with.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum ComparedValue {
    /// A text, and the same in lower case.
    Text(String, String),
    Number(f64),
    Flag(bool),
}

impl FilterNode {
    /// Returns whether the part admits an entry.
    pub(super) fn admits(&self, entry: &impl FilteredEntry) -> bool {
        match self {
            Self::All(nodes) => nodes.iter().all(|node| node.admits(entry)),
            Self::Any(nodes) => nodes.iter().any(|node| node.admits(entry)),
            Self::Not(node) => !node.admits(entry),
            Self::Compare { field, comparator, operand } => {
                compares(&entry.value(*field), *comparator, operand)
            }
        }
    }
}

fn compares(value: &FieldValue<'_>, comparator: Comparator, operand: &ComparedValue) -> bool {
    if comparator == Comparator::NotEqual {
        return !compares(value, Comparator::Equal, operand);
    }
    match (value, operand) {
        (FieldValue::Text(value), ComparedValue::Text(_, lower)) if comparator == Comparator::Has => {
            value.to_lowercase().contains(lower)
        }
        (FieldValue::Text(value), ComparedValue::Text(text, _)) => value == text,
        (FieldValue::Texts(values), ComparedValue::Text(text, _)) => values.contains(text),
        (FieldValue::Flag(value), ComparedValue::Flag(flag)) => value == flag,
        (FieldValue::Number(value), ComparedValue::Number(number)) => match comparator {
            Comparator::Less => value < number,
            Comparator::LessOrEqual => value <= number,
            Comparator::Greater => value > number,
            Comparator::GreaterOrEqual => value >= number,
            Comparator::Equal | Comparator::NotEqual | Comparator::Has => value == number,
        },
        _ => false,
    }
}
