//! The changes of the store for all tasks of a replica. The fleet's follower owns the one watch of
//! the whole prefix and hands each revision out here, after the fleet has applied it; every other
//! task subscribes to a prefix.
//!
//! A watch for each prefix was rejected: etcd sent each change as often as its prefix was watched, and a
//! replica noticed a frozen endpoint once for each watch.

mod subscriptions;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use self::subscriptions::{QueuedItem, SubscriberId, Subscriptions};
use crate::ports::ChangeBatch;

#[derive(Debug, Default)]
struct FeedState {
    subscriptions: Subscriptions,
    /// Wakes each subscriber.
    wakers: BTreeMap<SubscriberId, Arc<Notify>>,
}

/// The changes of the store; clones share the subscribers.
#[derive(Debug, Clone, Default)]
pub struct ChangeFeed(Arc<Mutex<FeedState>>);

impl ChangeFeed {
    /// Subscribes to the keys that start with `prefix`.
    pub(crate) fn subscribe(&self, prefix: &str) -> FeedSubscription {
        let (mut state, waker) = (self.lock(), Arc::new(Notify::new()));
        let id = state.subscriptions.enter(prefix);
        state.wakers.insert(id, Arc::clone(&waker));
        FeedSubscription { feed: self.clone(), id, waker }
    }

    /// Hands out the changes of one revision. It never waits for a subscriber.
    pub(crate) fn hand_out(&self, batch: &ChangeBatch) {
        let mut state = self.lock();
        for id in state.subscriptions.hand_out(batch) {
            state.wakers.get(&id).into_iter().for_each(|waker| waker.notify_one());
        }
    }

    /// Notes that the watch begins anew after `revision`: every subscriber reads the store again.
    pub(crate) fn begin_anew(&self, revision: u64) {
        let mut state = self.lock();
        state.subscriptions.begin_anew(revision);
        state.wakers.values().for_each(|waker| waker.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, FeedState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The changes below one prefix. A subscriber joins, reads the store, and then waits for changes.
#[derive(Debug)]
pub(crate) struct FeedSubscription {
    feed: ChangeFeed,
    id: SubscriberId,
    waker: Arc<Notify>,
}

impl FeedSubscription {
    /// Waits until the watch is open. From the return on, changes are queued.
    ///
    /// # Cancel safety
    /// Safe.
    pub(crate) async fn join(&self) {
        loop {
            if self.feed.lock().subscriptions.join(self.id) {
                return;
            }
            self.waker.notified().await;
        }
    }

    /// Notes that the store was read at `revision`, after [`FeedSubscription::join`].
    pub(crate) fn has_read(&self, revision: u64) {
        self.feed.lock().subscriptions.has_read(self.id, revision);
    }

    /// Waits for the next change after the reading; `None` if changes may be missing, so that the
    /// subscriber must join and read again.
    ///
    /// # Cancel safety
    /// Safe: no change is lost.
    pub(crate) async fn next(&self) -> Option<ChangeBatch> {
        loop {
            let next = self.feed.lock().subscriptions.next(self.id);
            match next {
                Some(QueuedItem::Changed(batch)) => return Some(batch),
                Some(QueuedItem::Lapsed) => return None,
                None => self.waker.notified().await,
            }
        }
    }
}

impl Drop for FeedSubscription {
    fn drop(&mut self) {
        let mut state = self.feed.lock();
        state.subscriptions.leave(self.id);
        state.wakers.remove(&self.id);
    }
}
