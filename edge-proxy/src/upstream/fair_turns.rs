//! Turns of several owners at a few places: the waiting side of [`FairQueue`].

use std::{
    fmt::Debug,
    hash::Hash,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::oneshot;

use crate::core::admission::{FairQueue, QueueEntry};

type TurnQueue<K> = FairQueue<K, oneshot::Sender<FairTurn<K>>>;

/// Too many pieces of work of one owner wait for their turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooManyWait;

/// A few places that owners get in turns; clones share them.
#[derive(Debug)]
pub struct FairTurns<K: Clone + Eq + Hash>(Arc<Mutex<TurnQueue<K>>>);

impl<K: Clone + Eq + Hash> Clone for FairTurns<K> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<K: Clone + Eq + Hash> FairTurns<K> {
    /// Returns `places`, for which at most `most_waiting` pieces of work of one owner wait.
    pub fn new(places: usize, most_waiting: usize) -> Self {
        Self(Arc::new(Mutex::new(FairQueue::new(places, most_waiting))))
    }

    /// Waits for a turn of `owner`. It lasts until it is dropped. A large `cost` takes the turn of several
    /// small ones.
    ///
    /// # Errors
    /// Too many pieces of work of the owner wait.
    pub async fn turn(&self, owner: &K, cost: u64) -> Result<FairTurn<K>, TooManyWait> {
        let (sender, receiver) = oneshot::channel();
        let entry = self.lock().enter(owner, cost, sender);
        match entry {
            QueueEntry::Runs(_) => Ok(FairTurn { places: Some(self.clone()) }),
            // The queue drops no sender before it has sent a turn.
            QueueEntry::Waits => receiver.await.map_err(|_| TooManyWait),
            QueueEntry::Full(_) => Err(TooManyWait),
        }
    }

    fn lock(&self) -> MutexGuard<'_, TurnQueue<K>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the number of turns that are under way.
    pub(super) fn running(&self) -> usize {
        self.lock().running()
    }
}

/// A turn, which goes to the next piece of work when it is dropped.
#[derive(Debug)]
pub struct FairTurn<K: Clone + Eq + Hash> {
    /// `None` once the turn has been given up.
    places: Option<FairTurns<K>>,
}

impl<K: Clone + Eq + Hash> Drop for FairTurn<K> {
    fn drop(&mut self) {
        let Some(places) = self.places.take() else { return };
        loop {
            let next = places.lock().leave();
            let Some(next) = next else { return };
            let Err(mut unwanted) = next.send(FairTurn { places: Some(places.clone()) }) else { return };
            // The waiting side has gone: the loop, and not a recursion, looks for another one.
            unwanted.places = None;
        }
    }
}
