//! The file of the embedded store, written by one durable transaction at a time.

use std::{
    fs::{self, File, TryLockError},
    io,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use redb::{Builder, Database, ReadableDatabase, ReadableTable, TableDefinition};

use crate::ports::{ChangeBatch, KeyChange, StoreEntry};

/// Key → (create revision, mod revision, value).
const ENTRIES: TableDefinition<'_, &str, (u64, u64, &[u8])> = TableDefinition::new("entries");
const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const REVISION: &str = "revision";
const CLUSTER_ID: &str = "cluster_id";

/// Bytes of memory for pages of the file. It is small, because reads never touch the file.
const CACHE: usize = 16 << 20;

/// The reason why a store's directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedOpenError {
    /// The directory cannot be created or accessed.
    #[error("use directory `{path}`")]
    Directory {
        /// Path of the directory.
        path: PathBuf,
        /// The error of the operating system.
        #[source]
        source: io::Error,
    },
    /// Another process holds the lock of the directory.
    #[error("directory `{0}` is in use by another process")]
    InUse(PathBuf),
    /// The file in the directory is damaged, unreadable, or not a store.
    #[error("open store file `{path}`")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// The error of the database.
        #[source]
        source: Box<redb::Error>,
    },
}

/// The content of a file at its opening.
#[derive(Debug)]
pub(super) struct FileContents {
    pub(super) entries: Vec<StoreEntry>,
    pub(super) revision: u64,
    pub(super) cluster_id: u64,
}

/// The open file, and the lock on its directory.
#[derive(Debug)]
pub(super) struct StoreFile {
    path: PathBuf,
    /// `None` after a failed write, until the file is opened again.
    database: Option<Database>,
    _lock: File,
}

impl StoreFile {
    /// Opens the store in a directory, which is created with mode 0700 if it is missing. A new
    /// store gets the number `cluster_id`.
    pub(super) fn open(directory: &Path, cluster_id: u64) -> Result<(Self, FileContents), EmbeddedOpenError> {
        let lock = lock(directory)?;
        let path = file(directory);
        let failed =
            |source: redb::Error| EmbeddedOpenError::File { path: path.clone(), source: Box::new(source) };
        let database = open_file(&path).map_err(failed)?;
        let contents = load(&database, cluster_id).map_err(failed)?;
        Ok((Self { path, database: Some(database), _lock: lock }, contents))
    }

    /// Makes changes durable, all of them or none.
    ///
    /// # Errors
    /// The changes may or may not be on disk; [`StoreFile::reopen`] returns the revision that is.
    pub(super) fn write(&mut self, batches: &[ChangeBatch]) -> Result<(), Box<redb::Error>> {
        let Some(database) = &self.database else { return Err(Box::new(redb::Error::PreviousIo)) };
        write(database, batches).map_err(|error| {
            self.database = None;
            Box::new(error)
        })
    }

    /// Opens the file again after a failed write, and returns the revision it holds.
    pub(super) fn reopen(&mut self) -> Result<u64, Box<redb::Error>> {
        self.database = None;
        let database = open_file(&self.path)?;
        let revision = revision(&database)?;
        self.database = Some(database);
        Ok(revision)
    }
}

/// Returns the path of the store's file in a directory.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("usher.redb")
}

fn lock(directory: &Path) -> Result<File, EmbeddedOpenError> {
    let failed = |source| EmbeddedOpenError::Directory { path: directory.to_owned(), source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(failed)?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(directory.join("lock"))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(EmbeddedOpenError::InUse(directory.to_owned())),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

fn open_file(path: &Path) -> Result<Database, redb::Error> {
    let database = Builder::new().set_cache_size(CACHE).create(path)?;
    // The file holds secrets, and a directory that existed before may be open to other users.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(database)
}

fn load(database: &Database, cluster_id: u64) -> Result<FileContents, redb::Error> {
    let first = database.begin_write()?;
    let (revision, cluster_id) = {
        let mut numbers = first.open_table(NUMBERS)?;
        let revision = numbers.get(REVISION)?.map(|number| number.value());
        let known = numbers.get(CLUSTER_ID)?.map(|number| number.value());
        if known.is_none() {
            numbers.insert(CLUSTER_ID, cluster_id)?;
        }
        (revision.unwrap_or_default(), known.unwrap_or(cluster_id))
    };
    let entries = first
        .open_table(ENTRIES)?
        .iter()?
        .map(|row| {
            let (key, value) = row?;
            let (create_revision, mod_revision, bytes) = value.value();
            let value = Bytes::copy_from_slice(bytes);
            Ok(StoreEntry { key: key.value().to_owned(), value, create_revision, mod_revision })
        })
        .collect::<Result<_, redb::StorageError>>()?;
    first.commit()?;
    Ok(FileContents { entries, revision, cluster_id })
}

fn revision(database: &Database) -> Result<u64, redb::Error> {
    let numbers = database.begin_read()?.open_table(NUMBERS)?;
    Ok(numbers.get(REVISION)?.map(|number| number.value()).unwrap_or_default())
}

fn write(database: &Database, batches: &[ChangeBatch]) -> Result<(), redb::Error> {
    let Some(last) = batches.last() else { return Ok(()) };
    let transaction = database.begin_write()?;
    {
        let mut entries = transaction.open_table(ENTRIES)?;
        for change in batches.iter().flat_map(|batch| &batch.changes) {
            match change {
                KeyChange::Put(entry) => {
                    let row = (entry.create_revision, entry.mod_revision, &*entry.value);
                    entries.insert(&*entry.key, row)?;
                }
                KeyChange::Delete { key } => {
                    entries.remove(&**key)?;
                }
            }
        }
        transaction.open_table(NUMBERS)?.insert(REVISION, last.revision)?;
    }
    transaction.commit()?;
    Ok(())
}

#[cfg(test)]
mod tests;
