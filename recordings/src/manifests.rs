//! The manifests of generations, which are objects of the storage. They never change, so that the last ones are kept
//! in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use crate::{
    core::manifest::{FormatManifest, ManifestFile},
    ports::{FileKey, RecordingStorage, StorageError},
};

/// The largest manifest that is read, bytes: 100,000 files with the longest paths.
const MANIFEST_MAX: usize = 64 << 20;
/// The most files in all manifests that are kept.
const KEPT_FILES_MAX: usize = 200_000;

/// Reads a manifest.
///
/// # Errors
/// The manifest is absent or unreadable, or the storage is unavailable.
pub async fn read(storage: &dyn RecordingStorage, key: &FileKey) -> Result<FormatManifest, StorageError> {
    let mut content = storage.read(key, None).await?;
    let mut bytes = BytesMut::new();
    while let Some(part) = content.next().await {
        let part = part.map_err(|error| StorageError::Unavailable(error.into()))?;
        if bytes.len() + part.len() > MANIFEST_MAX {
            return Err(StorageError::Unavailable(anyhow::anyhow!("the manifest {key} is too large")));
        }
        bytes.extend_from_slice(&part);
    }
    parse(&bytes.freeze(), key)
}

fn parse(bytes: &Bytes, key: &FileKey) -> Result<FormatManifest, StorageError> {
    let manifest = serde_json::from_slice(bytes);
    manifest
        .map_err(|error| StorageError::Unavailable(anyhow::Error::from(error).context(format!("read {key}"))))
}

/// The files of one generation, found by path.
pub type FileTable = Arc<HashMap<String, ManifestFile>>;

/// The tables of the generations that were asked for last; clones share them.
#[derive(Debug, Clone, Default)]
pub struct ManifestCache(Arc<Mutex<KeptTables>>);

#[derive(Debug, Default)]
struct KeptTables {
    by_key: HashMap<FileKey, (FileTable, u64)>,
    files: usize,
    uses: u64,
}

impl ManifestCache {
    /// Returns the files of a generation.
    ///
    /// # Errors
    /// The manifest is absent or unreadable, or the storage is unavailable.
    pub async fn table(
        &self,
        storage: &dyn RecordingStorage,
        key: &FileKey,
    ) -> Result<FileTable, StorageError> {
        if let Some(table) = self.kept(key) {
            return Ok(table);
        }
        let manifest = read(storage, key).await?;
        let files = Vec::<ManifestFile>::from(manifest).into_iter();
        let table: FileTable = Arc::new(files.map(|file| (file.path.clone(), file)).collect());
        self.keep(key, &table);
        Ok(table)
    }

    fn kept(&self, key: &FileKey) -> Option<FileTable> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let (table, used) = kept.by_key.get_mut(key)?;
        *used = uses;
        Some(Arc::clone(table))
    }

    /// Keeps a table, and drops those that were used least lately while there are too many files.
    fn keep(&self, key: &FileKey, table: &FileTable) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let entry = (Arc::clone(table), kept.uses);
        kept.files += table.len();
        if let Some((former, _)) = kept.by_key.insert(key.clone(), entry) {
            kept.files -= former.len();
        }
        while kept.files > KEPT_FILES_MAX && kept.by_key.len() > 1 {
            let oldest = kept.by_key.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            let Some((former, _)) = oldest.and_then(|oldest| kept.by_key.remove(&oldest)) else { break };
            kept.files -= former.len();
        }
    }
}
