//! The ports of the library: the index of facts, and the storage of files.

mod index;
mod storage;

pub use index::{
    IndexError, IndexPage, OfferId, RecordingIndex, RecordingWrite, RetiredGeneration, RowVersion, Tombstone,
    UploadOffer, VersionedRecording, WriteOutcome,
};
pub use storage::{ByteStream, FileKey, RecordingStorage, StorageError};
