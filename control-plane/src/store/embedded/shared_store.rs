//! The part of the embedded store that its clones share: the present state, and the way to the
//! writer.

use std::{
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
    thread::JoinHandle,
};

use tokio::sync::{mpsc, oneshot, watch};

use super::{store_state::StoreState, writer::WriteJob};
use crate::ports::StoreError;

/// The state and the writer of one embedded store.
#[derive(Debug)]
pub(super) struct SharedStore {
    pub(super) state: Arc<RwLock<StoreState>>,
    pub(super) published: watch::Receiver<u64>,
    pub(super) cluster_id: u64,
    /// `None` if the store is in memory only.
    pub(super) file: Option<PathBuf>,
    /// `None` only while the store is dropped.
    pub(super) jobs: Option<mpsc::Sender<WriteJob>>,
    pub(super) thread: Option<JoinHandle<()>>,
}

impl SharedStore {
    /// Reads the present state.
    pub(super) fn read<T>(&self, look: impl FnOnce(&StoreState) -> T) -> T {
        look(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sends a job to the writer and waits for its answer.
    pub(super) async fn ask<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> WriteJob,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(closed)?;
        jobs.send(job(reply)).await.map_err(|_| closed())?;
        answer.await.unwrap_or_else(|_| Err(StoreError::Unknown("the writer has ended".into())))
    }
}

impl Drop for SharedStore {
    /// Waits for the write under way, so that the directory is free once the store is dropped.
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("store writer panicked");
        }
    }
}

/// Returns the error of every call after the writer has ended.
pub(super) fn closed() -> StoreError {
    StoreError::Unavailable("the store is closed".into())
}
