//! Reads of the store's current revision, shared by concurrent callers.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::oneshot;
use usher_runtime::tasks::TaskGroup;

use crate::ports::{Store, StoreError};

type RevisionResult = Result<u64, Arc<StoreError>>;

/// Reads the store's revision linearizably. A caller that comes during a read waits for the next
/// one, because the store may have answered the current one before the call.
#[derive(Clone)]
pub struct RevisionReader {
    store: Arc<dyn Store>,
    tasks: TaskGroup,
    patience: Duration,
    state: Arc<Mutex<ReaderState>>,
}

#[derive(Default)]
struct ReaderState {
    reading: bool,
    waiting: Vec<oneshot::Sender<RevisionResult>>,
}

impl RevisionReader {
    /// Returns a reader of `store` that gives each read `patience`.
    pub fn new(store: Arc<dyn Store>, tasks: TaskGroup, patience: Duration) -> Self {
        Self { store, tasks, patience, state: Arc::default() }
    }

    /// Returns a revision at least as new as the store was at the call.
    ///
    /// # Errors
    /// The store could not be read.
    pub async fn read(&self) -> RevisionResult {
        let (sender, receiver) = oneshot::channel();
        let start = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            state.waiting.push(sender);
            !std::mem::replace(&mut state.reading, true)
        };
        if start {
            let reader = self.clone();
            self.tasks.spawn_short("revision", async move { reader.serve().await });
        }
        let gone = || Arc::new(StoreError::Unavailable("the read was abandoned".into()));
        receiver.await.map_err(|_| gone())?
    }

    async fn serve(&self) {
        loop {
            let askers = {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.waiting.is_empty() {
                    state.reading = false;
                    return;
                }
                std::mem::take(&mut state.waiting)
            };
            let late = || StoreError::Unavailable(format!("no revision within {:?}", self.patience));
            let read = tokio::time::timeout(self.patience, self.store.revision()).await;
            let answer = read.unwrap_or_else(|_| Err(late())).map_err(Arc::new);
            for asker in askers {
                let _ = asker.send(answer.clone()); // fails only if the caller stopped waiting
            }
        }
    }
}
