//! The faults of keys.

use usher_model::id::IdError;

/// The reason why a key of a known family is unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key has too few or too many parts.
    #[error("key `{0}` has the wrong number of parts")]
    Shape(String),
    /// A part of the key is not an identifier.
    #[error("key `{key}` is malformed")]
    Id {
        /// The complete key, without the store's prefix.
        key: String,
        /// The fault of the part.
        #[source]
        source: IdError,
    },
    /// The key is not in the form that this program writes.
    #[error("key `{0}` is not in canonical form")]
    Form(String),
}

/// The same, as the family of the key finds it in the parts below its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPartError {
    /// There are too few or too many parts.
    Shape,
    /// A part is not an identifier.
    Id(IdError),
    /// The parts are not in the form that this program writes.
    Form,
}

impl KeyPartError {
    /// Returns the fault of the complete key.
    pub(crate) fn of(self, key: &str) -> KeyError {
        match self {
            Self::Shape => KeyError::Shape(key.to_owned()),
            Self::Id(source) => KeyError::Id { key: key.to_owned(), source },
            Self::Form => KeyError::Form(key.to_owned()),
        }
    }
}

impl From<IdError> for KeyPartError {
    fn from(error: IdError) -> Self {
        Self::Id(error)
    }
}
