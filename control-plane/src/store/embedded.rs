//! The store of one process: in memory, and also in a file if a directory is given.
//!
//! Reads come from memory. Writes go through one thread, which makes many of them durable by one
//! transaction of the file; an answered write survives `kill -9`. History is kept in memory only,
//! because its watchers end with the process.

mod election;
mod shared_store;
mod store_file;
mod store_state;
mod writer;

use std::{
    path::Path,
    sync::{Arc, PoisonError, RwLock},
    thread::{self, JoinHandle},
    time::Duration,
};

use async_trait::async_trait;
use futures::stream::{self, BoxStream, StreamExt};
use tokio::{
    runtime,
    sync::{mpsc, watch},
};

pub use self::store_file::EmbeddedOpenError;
use self::{
    shared_store::SharedStore,
    store_file::{FileContents, StoreFile},
    store_state::{StoreState, TransactionDraft},
    writer::{StoreWriter, WriteJob},
};
use super::keys;
use crate::core::upkeep::StoreSpace;
use crate::ports::{
    ChangeBatch, LeaderLease, Store, StoreError, StoreListing, StoreTxn, TxnVerdict, TxnWrite, WatchError,
};

/// Bytes of history kept for watchers.
const HISTORY: usize = 32 << 20;

/// Largest number of jobs that wait for the writer.
const WAITING: usize = 1024;

/// Largest number of batches that a watcher takes at a time.
const WATCHED: usize = 256;

/// The embedded store. Clones share it; the last clone closes the file.
#[derive(Debug, Clone)]
pub struct EmbeddedStore {
    shared: Arc<SharedStore>,
}

impl EmbeddedStore {
    /// Opens the store in a directory, or an empty store in memory.
    ///
    /// # Errors
    /// The directory is in use or unusable, or its file is damaged or not a store.
    pub fn open(directory: Option<&Path>) -> Result<Self, EmbeddedOpenError> {
        Self::with_history(directory, HISTORY)
    }

    /// Like [`EmbeddedStore::open`], with a bound in bytes on the history kept for watchers.
    pub fn with_history(directory: Option<&Path>, history: usize) -> Result<Self, EmbeddedOpenError> {
        let new_id = rand::random();
        let (mut disk, contents) = match directory {
            Some(directory) => {
                let (disk, contents) = StoreFile::open(directory, new_id)?;
                (Some(disk), contents)
            }
            None => (None, FileContents { entries: Vec::new(), revision: 0, cluster_id: new_id }),
        };
        let mut state = StoreState::new(contents.entries, contents.revision, history);
        let left = end_elections(&state);
        if let (Some(disk), Some(directory)) = (&mut disk, directory) {
            disk.write(&left)
                .map_err(|source| EmbeddedOpenError::File { path: directory.to_owned(), source })?;
        }
        state.apply(left);
        let (publish, published) = watch::channel(state.revision());
        let state = Arc::new(RwLock::new(state));
        let (jobs, waiting) = mpsc::channel(WAITING);
        let thread =
            spawn(StoreWriter::new(Arc::clone(&state), publish, disk), waiting).map_err(|source| {
                EmbeddedOpenError::Directory { path: directory.unwrap_or(Path::new("")).to_owned(), source }
            })?;
        let shared = SharedStore {
            state,
            published,
            cluster_id: contents.cluster_id,
            file: directory.map(store_file::file),
            jobs: Some(jobs),
            thread: Some(thread),
        };
        Ok(Self { shared: Arc::new(shared) })
    }
}

/// Removes the candidates of earlier processes: the directory's lock proves that none of them runs.
fn end_elections(state: &StoreState) -> Vec<ChangeBatch> {
    let left = state.below(keys::ELECTION).map(|entry| TxnWrite::Delete(entry.key.clone())).collect();
    let mut draft = TransactionDraft::new(state);
    let ended = draft.commit(&[StoreTxn { guards: Vec::new(), writes: left }]);
    debug_assert!(ended.is_ok(), "keys of a map are distinct");
    draft.finish()
}

/// Starts the writer on a thread of its own, because the flush of a file would block other tasks.
/// Its runtime only drives timers.
fn spawn(writer: StoreWriter, jobs: mpsc::Receiver<WriteJob>) -> std::io::Result<JoinHandle<()>> {
    let runtime = runtime::Builder::new_current_thread().enable_time().build()?;
    thread::Builder::new().name("store".into()).spawn(move || runtime.block_on(writer.run(jobs)))
}

#[async_trait]
impl Store for EmbeddedStore {
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError> {
        Ok(self.shared.read(|state| state.list(prefix)))
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        Ok(self.shared.read(StoreState::revision))
    }

    async fn watch(
        &self,
        prefix: &str,
        from: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        let watcher = Watcher {
            state: Arc::clone(&self.shared.state),
            published: self.shared.published.clone(),
            prefix: prefix.to_owned(),
            next: from,
        };
        let steps = stream::unfold(Some(watcher), |watcher| async {
            let mut watcher = watcher?;
            Some(match watcher.step().await {
                Ok(batches) => (batches.into_iter().map(Ok).collect(), Some(watcher)),
                Err(error) => (vec![Err(error)], None),
            })
        });
        Ok(steps.flat_map(stream::iter).boxed())
    }

    async fn commit(&self, txns: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        self.shared.ask(|reply| WriteJob::Commit(txns, reply)).await
    }

    /// Returns at once: the history is in memory only, and bounded.
    async fn compact(&self, _: u64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn space(&self) -> Result<StoreSpace, StoreError> {
        let Some(file) = self.shared.file.clone() else { return Ok(StoreSpace::default()) };
        let size = tokio::fs::metadata(&file).await.map(|file| file.len());
        let taken = size.map_err(|error| StoreError::Unavailable(format!("{}: {error}", file.display())))?;
        Ok(StoreSpace { taken, in_use: taken, ..StoreSpace::default() })
    }

    async fn cluster_id(&self) -> Result<u64, StoreError> {
        Ok(self.shared.cluster_id)
    }

    async fn campaign(&self, candidate: &str, ttl: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        election::campaign(Arc::clone(&self.shared), candidate, ttl).await
    }

    async fn leader(&self) -> Result<Option<String>, StoreError> {
        Ok(self.shared.read(|state| {
            election::oldest(state.below(keys::ELECTION))
                .map(|entry| String::from_utf8_lossy(&entry.value).into_owned())
        }))
    }
}

struct Watcher {
    state: Arc<RwLock<StoreState>>,
    published: watch::Receiver<u64>,
    prefix: String,
    next: u64,
}

impl Watcher {
    /// Waits for the next batches.
    async fn step(&mut self) -> Result<Vec<ChangeBatch>, WatchError> {
        loop {
            self.published.mark_unchanged();
            let (found, next) = self
                .state
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .since(&self.prefix, self.next, WATCHED)
                .map_err(WatchError::Compacted)?;
            let caught_up = next == self.next;
            self.next = next;
            if !found.is_empty() {
                return Ok(found);
            }
            if caught_up && self.published.changed().await.is_err() {
                return Err(WatchError::Lost("the store is closed".into()));
            }
        }
    }
}
