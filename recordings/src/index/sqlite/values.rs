//! The conversions between values of the library and values of SQLite, and between their errors.

use serde::{Serialize, de::DeserializeOwned};

use crate::ports::IndexError;

/// Converts an error of the database. Each of them may pass: a lock, a full disk, a disk that does not
/// answer.
pub(super) fn unavailable(error: sqlx::Error) -> IndexError {
    IndexError::Unavailable(error.into())
}

/// Converts a number, as long as SQLite's 63 bits hold it.
pub(super) fn number(value: u64) -> Result<i64, IndexError> {
    i64::try_from(value).map_err(|_| IndexError::Refused("a number has more than 63 bits"))
}

/// Converts a number of a derived column or of a comparison, for which any number above 63 bits is equal.
pub(super) fn capped(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Returns a value as JSON.
pub(super) fn json<T: Serialize + ?Sized>(value: &T) -> Result<String, IndexError> {
    serde_json::to_string(value).map_err(|_| IndexError::Refused("a value has no form in JSON"))
}

/// Reads a value of JSON.
pub(super) fn from_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_str(text).ok()
}
