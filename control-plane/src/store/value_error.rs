//! The faults of stored values.

use prost::DecodeError;
use usher_model::id::IdError;

use super::key_error::KeyError;
use crate::core::plan::FleetEvent;

/// The reason why stored bytes are not a value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ValueError {
    /// The key itself is unreadable.
    #[error(transparent)]
    FleetKey(#[from] KeyError),
    /// The bytes are not the expected message.
    #[error("cannot be decoded: {0}")]
    Decode(#[from] DecodeError),
    /// A field holds a value outside its range, or of a newer version.
    #[error("field `{0}` holds an unknown value")]
    Field(&'static str),
    /// A field is not an identifier.
    #[error("field `{field}`: {source}")]
    Id {
        /// Name of the field.
        field: &'static str,
        /// The fault of the identifier.
        source: IdError,
    },
}

/// A stored value that is unreadable. The fold of the store treats the value as absent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("value of `{path}`: {reason}")]
pub struct UnreadableValue {
    /// Path of the value, relative to the store's prefix.
    pub path: String,
    /// The fault of the value.
    pub reason: ValueError,
    /// The event that removes the value from a fleet; `None` when the key itself is unreadable.
    pub absent: Option<Box<FleetEvent>>,
}
