//! The databases behind the port [`RecordingIndex`](crate::ports::RecordingIndex).

mod sqlite;

pub use sqlite::{IndexOpenError, SqliteIndex};
