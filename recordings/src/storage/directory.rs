//! The storage in a directory: `TENANT/RECORDID/FORMAT/GENERATION/…`.
//!
//! A file that is not complete is in a folder of its own beside the files, so that no name of a manifest is that of a
//! part. Complete files are made by a rename and never change. Links are not followed.

use std::{
    collections::HashMap,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    ops::Range,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use anyhow::Context as _;
use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use nix::fcntl::OFlag;
use sha2::{Digest as _, Sha256};
use tokio::{
    io::{AsyncReadExt as _, AsyncSeekExt as _, SeekFrom},
    sync::{Mutex as AsyncMutex, OwnedMutexGuard},
};
use tokio_util::io::ReaderStream;

use crate::{
    core::manifest::ManifestFile,
    ports::{ByteStream, FileKey, RecordingStorage, StorageError},
};

/// The bytes that are written and read at once.
const CHUNK: usize = 256 << 10;
/// The bytes that may be on their way to the disk without being safe.
const UNSAFE_MAX: usize = 8 << 20;
/// Files are for the library and its group: edges that share the directory may be of that group.
const FILE_MODE: u32 = 0o640;
const FOLDER_MODE: u32 = 0o750;
/// A link in the place of a file is not followed.
const NO_FOLLOW: i32 = OFlag::O_NOFOLLOW.bits();
/// The folder of the parts of a generation. A path of a manifest is below `files/`.
const PARTS: &str = "parts";

/// The storage in a directory.
#[derive(Debug)]
pub struct DirectoryStorage {
    root: PathBuf,
    /// The files that are being appended or completed. One request at a time works on a file.
    busy: Mutex<HashMap<FileKey, Arc<AsyncMutex<()>>>>,
}

impl DirectoryStorage {
    /// Opens the storage in a directory, which is made if there is none.
    ///
    /// # Errors
    /// The directory cannot be made or resolved.
    pub async fn open(root: &Path) -> anyhow::Result<Self> {
        let wanted = root.to_owned();
        let root = blocking(move || {
            make_folder(&wanted)?;
            fs::canonicalize(&wanted)
        })
        .await
        .with_context(|| format!("open the storage of recordings {}", root.display()))?;
        Ok(Self { root, busy: Mutex::default() })
    }

    fn generation(&self, key: &FileKey) -> PathBuf {
        self.root
            .join(key.tenant.as_str())
            .join(key.record_id.as_str())
            .join(key.format.as_str())
            .join(key.generation.as_str())
    }

    fn complete_path(&self, key: &FileKey) -> PathBuf {
        self.generation(key).join(&key.path)
    }

    /// The name of a part is the hash of its path, because a path may have folders.
    fn part_path(&self, key: &FileKey) -> PathBuf {
        let name: String = Sha256::digest(&key.path).iter().map(|byte| format!("{byte:02x}")).collect();
        self.generation(key).join(PARTS).join(name)
    }

    /// Returns the turn of a file. Turns that no request holds are dropped.
    fn turn(&self, key: &FileKey) -> Arc<AsyncMutex<()>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        busy.retain(|_, turn| Arc::strong_count(turn) > 1);
        Arc::clone(busy.entry(key.clone()).or_default())
    }
}

/// Opens a part for further bytes, and makes it if there is none.
fn open_part(part: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(FILE_MODE).custom_flags(NO_FOLLOW).open(part)
}

/// Runs file work on a thread that serves no request.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn of_io(error: io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::NotFound => StorageError::Absent,
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            StorageError::Full
        }
        _ => StorageError::Unavailable(error.into()),
    }
}

fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(FOLDER_MODE).create(folder)
}

/// Makes the entries of a folder, and of the folders above it up to `root`, safe.
fn sync_folders(folder: &Path, root: &Path) -> io::Result<()> {
    for folder in folder.ancestors().take_while(|folder| folder.starts_with(root)) {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

fn length(path: &Path) -> io::Result<u64> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_file() => Ok(found.len()),
        Ok(_) => Err(io::Error::other("a file of the storage is no plain file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

fn is_there(path: &Path) -> io::Result<bool> {
    fs::symlink_metadata(path).map(|found| found.is_file()).or_else(|error| match error.kind() {
        io::ErrorKind::NotFound => Ok(false),
        _ => Err(error),
    })
}

fn checksum(path: &Path) -> io::Result<(u64, String)> {
    let (mut file, mut hash, mut size) = (File::open(path)?, Sha256::new(), 0_u64);
    let mut buffer = vec![0; CHUNK];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        size += read as u64;
        hash.update(&buffer[..read]);
    }
    Ok((size, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
}

/// A part of a file that is being written.
struct PartWriter {
    file: Arc<Mutex<File>>,
    /// The turn of the file. Each write holds it too: a request that is dropped leaves its last write behind, and the
    /// next request must not write beside it.
    turn: Arc<OwnedMutexGuard<()>>,
    stored: u64,
    size: u64,
    pending: BytesMut,
    unsafe_bytes: usize,
}

impl PartWriter {
    /// Takes bytes, and writes them in chunks.
    async fn take(&mut self, bytes: &[u8]) -> Result<(), StorageError> {
        if self.stored + (self.pending.len() + bytes.len()) as u64 > self.size {
            return Err(StorageError::TooLong);
        }
        self.pending.extend_from_slice(bytes);
        if self.pending.len() < CHUNK { Ok(()) } else { self.write().await }
    }

    async fn write(&mut self) -> Result<(), StorageError> {
        let (chunk, file) = (self.pending.split().freeze(), Arc::clone(&self.file));
        let turn = Arc::clone(&self.turn);
        self.unsafe_bytes += chunk.len();
        let is_safe = self.unsafe_bytes >= UNSAFE_MAX;
        let before = self.stored;
        let written = blocking(move || {
            let _turn = turn;
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = file.write_all(&chunk) {
                // A part of the chunk would be stored and not acknowledged.
                file.set_len(before)?;
                return Err(error);
            }
            if is_safe {
                file.sync_data()?;
            }
            Ok(chunk.len())
        });
        self.stored += written.await.map_err(of_io)? as u64;
        if is_safe {
            self.unsafe_bytes = 0;
        }
        Ok(())
    }

    /// Writes the pending bytes and makes all bytes safe.
    async fn finish(&mut self) -> Result<(), StorageError> {
        if !self.pending.is_empty() {
            self.write().await?;
        }
        let (file, turn) = (Arc::clone(&self.file), Arc::clone(&self.turn));
        blocking(move || {
            let _turn = turn;
            file.lock().unwrap_or_else(PoisonError::into_inner).sync_all()
        })
        .await
        .map_err(of_io)
    }
}

#[async_trait]
impl RecordingStorage for DirectoryStorage {
    async fn stored(&self, key: &FileKey) -> Result<u64, StorageError> {
        let (complete, part) = (self.complete_path(key), self.part_path(key));
        blocking(move || if is_there(&complete)? { length(&complete) } else { length(&part) })
            .await
            .map_err(of_io)
    }

    async fn append(
        &self,
        key: &FileKey,
        offset: u64,
        size: u64,
        mut bytes: ByteStream,
    ) -> Result<u64, StorageError> {
        // The other request goes on; this one learns where the file stands when it tries again.
        let Ok(turn) = self.turn(key).try_lock_owned().map(Arc::new) else {
            return Err(StorageError::Offset { stored: self.stored(key).await? });
        };
        let stored = self.stored(key).await?;
        if stored != offset {
            return Err(StorageError::Offset { stored });
        }
        if self.is_complete(key).await? {
            return Ok(stored);
        }
        let (part, root) = (self.part_path(key), self.root.clone());
        let file = blocking(move || {
            let folder = part.parent().ok_or_else(|| io::Error::other("a part has no folder"))?;
            make_folder(folder)?;
            let file = open_part(&part)?;
            // The bytes that an earlier request left behind are acknowledged by the answer to this one.
            file.sync_all()?;
            sync_folders(folder, &root)?;
            Ok(file)
        });
        let file = Arc::new(Mutex::new(file.await.map_err(of_io)?));
        let mut writer = PartWriter { file, turn, stored, size, pending: BytesMut::new(), unsafe_bytes: 0 };
        let mut broken = None;
        while let Some(bytes) = bytes.next().await {
            match bytes {
                Ok(bytes) => writer.take(&bytes).await?,
                Err(error) => {
                    broken = Some(error);
                    break;
                }
            }
        }
        writer.finish().await?;
        broken.map_or(Ok(writer.stored), |error| Err(StorageError::Source(error)))
    }

    async fn complete(&self, key: &FileKey, file: &ManifestFile) -> Result<(), StorageError> {
        let turn = self.turn(key);
        let _turn = turn.lock().await;
        if self.is_complete(key).await? {
            return Ok(());
        }
        let (complete, part, root) = (self.complete_path(key), self.part_path(key), self.root.clone());
        let (size, sha256) = (file.size, file.sha256.as_str().to_owned());
        let is_right = blocking(move || {
            if size == 0 && !is_there(&part)? {
                let folder = part.parent().ok_or_else(|| io::Error::other("a part has no folder"))?;
                make_folder(folder)?;
                open_part(&part)?.sync_all()?;
            }
            if checksum(&part)? != (size, sha256) {
                fs::remove_file(&part)?;
                return Ok(false);
            }
            let folder = complete.parent().ok_or_else(|| io::Error::other("a file has no folder"))?;
            make_folder(folder)?;
            fs::rename(&part, &complete)?;
            sync_folders(folder, &root)?;
            Ok(true)
        });
        if is_right.await.map_err(of_io)? { Ok(()) } else { Err(StorageError::Checksum) }
    }

    async fn is_complete(&self, key: &FileKey) -> Result<bool, StorageError> {
        let complete = self.complete_path(key);
        blocking(move || is_there(&complete)).await.map_err(of_io)
    }

    async fn put(&self, key: &FileKey, bytes: Bytes) -> Result<(), StorageError> {
        let turn = self.turn(key);
        let _turn = turn.lock().await;
        let (complete, part, root) = (self.complete_path(key), self.part_path(key), self.root.clone());
        let put = blocking(move || {
            if is_there(&complete)? {
                return Ok(());
            }
            for folder in [complete.parent(), part.parent()].into_iter().flatten() {
                make_folder(folder)?;
            }
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(FILE_MODE).open(&part)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&part, &complete)?;
            sync_folders(complete.parent().unwrap_or(&root), &root)
        });
        put.await.map_err(of_io)
    }

    async fn read(&self, key: &FileKey, range: Option<Range<u64>>) -> Result<ByteStream, StorageError> {
        let path = self.complete_path(key);
        let opened = tokio::fs::OpenOptions::new().read(true).custom_flags(NO_FOLLOW).open(path).await;
        let mut file = opened.map_err(of_io)?;
        let range = range.unwrap_or(0..u64::MAX);
        file.seek(SeekFrom::Start(range.start)).await.map_err(of_io)?;
        let part = file.take(range.end.saturating_sub(range.start));
        Ok(Box::pin(ReaderStream::with_capacity(part, CHUNK)))
    }

    fn local_path(&self, key: &FileKey) -> Option<PathBuf> {
        Some(self.complete_path(key))
    }

    async fn free(&self) -> Result<Option<u64>, StorageError> {
        let root = self.root.clone();
        let free = blocking(move || {
            let found = nix::sys::statvfs::statvfs(&root).map_err(io::Error::from)?;
            Ok(found.blocks_available().saturating_mul(found.fragment_size()))
        });
        free.await.map(Some).map_err(of_io)
    }

    async fn remove_generation(&self, key: &FileKey) -> Result<(), StorageError> {
        let folder = self.generation(key);
        let removed = blocking(move || match fs::remove_dir_all(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done,
        });
        removed.await.map_err(of_io)
    }
}
