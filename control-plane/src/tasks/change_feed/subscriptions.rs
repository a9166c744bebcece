//! The subscribers of the one watch, and the changes that wait for each of them. Pure: no task, no clock.
//!
//! A subscriber joins first and reads the store afterwards, so that each change is in its reading or
//! in its queue. A subscriber for which both cannot be said has lapsed: it joins and reads again.

use std::collections::{BTreeMap, VecDeque};

use crate::ports::{ChangeBatch, KeyChange};

/// Largest number of batches that wait for one subscriber.
pub(super) const MOST_BATCHES: usize = 4096;

/// Largest number of bytes that wait for one subscriber, unless a single batch is larger.
pub(super) const MOST_BYTES: usize = 16 << 20;

/// The number of a subscriber.
pub(super) type SubscriberId = u64;

/// The next item of a subscriber.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum QueuedItem {
    /// The changes of one revision below the prefix.
    Changed(ChangeBatch),
    /// Changes may be missing: the subscriber joins and reads again.
    Lapsed,
}

/// The standing of a subscriber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Changes may be missing.
    Lapsed,
    /// Every change after this revision was queued.
    Joined { after: u64 },
}

#[derive(Debug)]
struct Subscriber {
    prefix: String,
    standing: Standing,
    waiting: VecDeque<ChangeBatch>,
    bytes: usize,
}

/// All subscribers.
#[derive(Debug, Default)]
pub(super) struct Subscriptions {
    subscribers: BTreeMap<SubscriberId, Subscriber>,
    entered: SubscriberId,
    /// The last revision that was handed out; `None` until the first watch is open.
    reached: Option<u64>,
}

impl Subscriptions {
    /// Enters a subscriber of the keys that start with `prefix`. It has lapsed until it joins.
    pub(super) fn enter(&mut self, prefix: &str) -> SubscriberId {
        self.entered += 1;
        let subscriber = Subscriber {
            prefix: prefix.to_owned(),
            standing: Standing::Lapsed,
            waiting: VecDeque::new(),
            bytes: 0,
        };
        self.subscribers.insert(self.entered, subscriber);
        self.entered
    }

    /// Removes a subscriber.
    pub(super) fn leave(&mut self, id: SubscriberId) {
        self.subscribers.remove(&id);
    }

    /// Queues changes for a subscriber from now on; returns `false` while no watch is open. The
    /// subscriber reads the store next.
    pub(super) fn join(&mut self, id: SubscriberId) -> bool {
        let (Some(after), Some(subscriber)) = (self.reached, self.subscribers.get_mut(&id)) else {
            return false;
        };
        subscriber.clear(Standing::Joined { after });
        true
    }

    /// Notes the revision at which a subscriber read the store after it had joined. Queued changes up
    /// to it are part of the reading. A reading from before the subscriber joined, which a store
    /// returns that was set back, misses changes: the subscriber lapses.
    pub(super) fn has_read(&mut self, id: SubscriberId, revision: u64) {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return };
        let Standing::Joined { after } = subscriber.standing else { return };
        if revision < after {
            return subscriber.clear(Standing::Lapsed);
        }
        subscriber.standing = Standing::Joined { after: revision };
        while subscriber.waiting.front().is_some_and(|batch| batch.revision <= revision) {
            subscriber.pop();
        }
    }

    /// Returns the next item of a subscriber, if there is one.
    pub(super) fn next(&mut self, id: SubscriberId) -> Option<QueuedItem> {
        let Some(subscriber) = self.subscribers.get_mut(&id) else { return Some(QueuedItem::Lapsed) };
        match subscriber.standing {
            Standing::Lapsed => Some(QueuedItem::Lapsed),
            Standing::Joined { .. } => subscriber.pop().map(QueuedItem::Changed),
        }
    }

    /// Hands a revision out, to each subscriber the part below its prefix. Returns the subscribers that
    /// have news. A subscriber without room lapses, so that it delays no other one.
    pub(super) fn hand_out(&mut self, batch: &ChangeBatch) -> Vec<SubscriberId> {
        if self.reached.is_none_or(|reached| batch.revision <= reached) {
            return Vec::new();
        }
        self.reached = Some(batch.revision);
        let push = |(id, subscriber): (&SubscriberId, &mut Subscriber)| subscriber.push(batch).then_some(*id);
        self.subscribers.iter_mut().filter_map(push).collect()
    }

    /// Begins anew with a watch of all changes after `revision`, between which and the changes before
    /// some may be missing. Every subscriber lapses.
    pub(super) fn begin_anew(&mut self, revision: u64) {
        self.reached = Some(revision);
        self.subscribers.values_mut().for_each(|subscriber| subscriber.clear(Standing::Lapsed));
    }
}

impl Subscriber {
    fn clear(&mut self, standing: Standing) {
        self.waiting = VecDeque::new();
        (self.standing, self.bytes) = (standing, 0);
    }

    fn pop(&mut self) -> Option<ChangeBatch> {
        let batch = self.waiting.pop_front()?;
        self.bytes -= size(&batch);
        Some(batch)
    }

    /// Queues the part of a batch below the prefix; returns whether there is news.
    fn push(&mut self, batch: &ChangeBatch) -> bool {
        let Standing::Joined { after } = self.standing else { return false };
        let below = |change: &&KeyChange| key(change).starts_with(&self.prefix);
        if batch.revision <= after || !batch.changes.iter().any(|change| below(&change)) {
            return false;
        }
        let changes = batch.changes.iter().filter(below).cloned().collect();
        let part = ChangeBatch { revision: batch.revision, changes, attested: batch.attested };
        let size = size(&part);
        let has_room = self.waiting.len() < MOST_BATCHES && self.bytes + size <= MOST_BYTES;
        if has_room || self.waiting.is_empty() {
            self.bytes += size;
            self.waiting.push_back(part);
        } else {
            self.clear(Standing::Lapsed);
        }
        true
    }
}

/// Returns the bytes of the keys and values of a batch.
fn size(batch: &ChangeBatch) -> usize {
    let of = |change: &KeyChange| match change {
        KeyChange::Put(entry) => entry.key.len() + entry.value.len(),
        KeyChange::Delete { key } => key.len(),
    };
    batch.changes.iter().map(of).sum()
}

fn key(change: &KeyChange) -> &str {
    match change {
        KeyChange::Put(entry) => &entry.key,
        KeyChange::Delete { key } => key,
    }
}

#[cfg(test)]
mod tests;
