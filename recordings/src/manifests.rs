//! The manifests of generations, which are objects of the storage. They never change, so that the last ones are kept
//! in memory.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use crate::{
    core::manifest::FormatManifest,
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
async fn read(storage: &dyn RecordingStorage, key: &FileKey) -> Result<FormatManifest, StorageError> {
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

/// The manifests that were asked for last; clones share them. An upload asks for its manifest with each part of a file.
#[derive(Debug, Clone, Default)]
pub struct ManifestCache(Arc<Mutex<KeptManifests>>);

#[derive(Debug, Default)]
struct KeptManifests {
    /// The manifests, each with the time of its last use as a number.
    by_key: HashMap<FileKey, (Arc<FormatManifest>, u64)>,
    files: usize,
    uses: u64,
}

impl ManifestCache {
    /// Returns the manifest of a generation.
    ///
    /// # Errors
    /// The manifest is absent or unreadable, or the storage is unavailable.
    pub async fn manifest(
        &self,
        storage: &dyn RecordingStorage,
        key: &FileKey,
    ) -> Result<Arc<FormatManifest>, StorageError> {
        if let Some(kept) = self.kept(key) {
            return Ok(kept);
        }
        let manifest = Arc::new(read(storage, key).await?);
        self.keep(key, &manifest);
        Ok(manifest)
    }

    fn kept(&self, key: &FileKey) -> Option<Arc<FormatManifest>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let uses = kept.uses;
        let (manifest, used) = kept.by_key.get_mut(key)?;
        *used = uses;
        Some(Arc::clone(manifest))
    }

    /// Keeps a manifest, and drops those that were used least lately while there are too many files.
    fn keep(&self, key: &FileKey, manifest: &Arc<FormatManifest>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.uses += 1;
        let entry = (Arc::clone(manifest), kept.uses);
        kept.files += manifest.files().len();
        if let Some((former, _)) = kept.by_key.insert(key.clone(), entry) {
            kept.files -= former.files().len();
        }
        while kept.files > KEPT_FILES_MAX && kept.by_key.len() > 1 {
            let oldest = kept.by_key.iter().min_by_key(|(_, (_, used))| *used).map(|(key, _)| key.clone());
            let Some((former, _)) = oldest.and_then(|oldest| kept.by_key.remove(&oldest)) else { break };
            kept.files -= former.files().len();
        }
    }
}
