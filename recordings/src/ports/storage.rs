//! The storage: the files of all generations. A file that is complete never changes.

use std::{fmt, ops::Range, path::PathBuf, pin::Pin};

use async_trait::async_trait;
use bytes::Bytes;
use futures::Stream;
use usher_model::id::TenantId;

use super::index::UploadOffer;
use crate::core::{
    manifest::ManifestFile,
    names::{FormatName, GenerationId, RecordId},
};

/// A stream of the bytes of a file.
pub type ByteStream = Pin<Box<dyn Stream<Item = std::io::Result<Bytes>> + Send>>;

/// The reason why the storage did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum StorageError {
    /// The file is not there.
    #[error("the file is not in the storage")]
    Absent,
    /// The part begins at another offset than the stored one ends; the caller goes on at `stored`.
    #[error("the file has {stored} bytes")]
    Offset {
        /// The number of stored bytes.
        stored: u64,
    },
    /// The part is longer than the rest of the file.
    #[error("the part is longer than the rest of the file")]
    TooLong,
    /// The content differs from the manifest; the stored bytes were removed.
    #[error("the content has another checksum")]
    Checksum,
    /// There is no space (R13).
    #[error("the storage is full")]
    Full,
    /// The source of the bytes broke off. The bytes before are stored.
    #[error("the upload broke off")]
    Source(#[source] std::io::Error),
    /// The storage does not answer, or refuses for now.
    #[error("the storage is unavailable")]
    Unavailable(#[source] anyhow::Error),
}

/// The place of a file: `TENANT/RECORDID/FORMAT/GENERATION/PATH`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FileKey {
    /// The owner of the recording.
    pub tenant: TenantId,
    /// The id of the recording.
    pub record_id: RecordId,
    /// The name of the format.
    pub format: FormatName,
    /// The name of the generation.
    pub generation: GenerationId,
    /// The path, as in a manifest.
    pub path: String,
}

impl fmt::Display for FileKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tenant, record_id, format, generation, path } = self;
        write!(f, "{tenant}/{record_id}/{format}/{generation}/{path}")
    }
}

impl FileKey {
    /// The path of the manifest of a generation.
    pub const MANIFEST: &str = "manifest.json";

    /// Returns the place of a file of a generation.
    pub fn of(
        tenant: &TenantId,
        record_id: &RecordId,
        (format, generation): (&FormatName, &GenerationId),
        path: &str,
    ) -> Self {
        let (tenant, record_id) = (tenant.clone(), record_id.clone());
        Self {
            tenant,
            record_id,
            format: format.clone(),
            generation: generation.clone(),
            path: path.to_owned(),
        }
    }

    /// Returns the place of the manifest of an offer's generation.
    pub fn manifest(offer: &UploadOffer) -> Self {
        let facts = &offer.facts;
        Self::of(&offer.tenant, &facts.record_id, (&facts.playback.format, &offer.generation), Self::MANIFEST)
    }

    /// Returns the place of a file of an offer, by its path in the manifest.
    pub fn content(offer: &UploadOffer, path: &str) -> Self {
        Self { path: Self::content_path(path), ..Self::manifest(offer) }
    }

    /// Returns the path of a file of the manifest. Content has a folder of its own, so that no name of a file is that of
    /// the manifest.
    pub fn content_path(path: &str) -> String {
        format!("files/{path}")
    }
}

/// The files of all generations.
#[async_trait]
pub trait RecordingStorage: Send + Sync + fmt::Debug {
    /// Returns the number of bytes of a file that are stored for good, also while the file is not complete; 0 if
    /// there are none.
    async fn stored(&self, key: &FileKey) -> Result<u64, StorageError>;

    /// Appends bytes to an incomplete file of `size` bytes at `offset`, and returns the number that is stored then.
    /// Acknowledged bytes are stored for good, and so are those that a source sends before it breaks off.
    async fn append(
        &self,
        key: &FileKey,
        offset: u64,
        size: u64,
        bytes: ByteStream,
    ) -> Result<u64, StorageError>;

    /// Completes a file: reads it back, compares size and checksum with the manifest, and makes it readable (R1).
    /// A file that is complete stays.
    async fn complete(&self, key: &FileKey, file: &ManifestFile) -> Result<(), StorageError>;

    /// Returns whether a file is complete.
    async fn is_complete(&self, key: &FileKey) -> Result<bool, StorageError>;

    /// Writes a small complete file, unless there is one.
    async fn put(&self, key: &FileKey, bytes: Bytes) -> Result<(), StorageError>;

    /// Reads a range of a complete file; `None` is the whole file.
    async fn read(&self, key: &FileKey, range: Option<Range<u64>>) -> Result<ByteStream, StorageError>;

    /// Returns the path of a complete file, if edges may read it themselves.
    fn local_path(&self, key: &FileKey) -> Option<PathBuf>;

    /// Returns the number of bytes for which there is space; `None` if the storage has no known end.
    async fn free(&self) -> Result<Option<u64>, StorageError>;

    /// Removes all files of a generation, complete or not. To remove them again is no error.
    async fn remove_generation(&self, key: &FileKey) -> Result<(), StorageError>;
}
