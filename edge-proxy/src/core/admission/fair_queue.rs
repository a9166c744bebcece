//! A queue of work of several owners, of which a few pieces run at a time: deficit round robin, so that a
//! crowd of one owner waits behind itself and not in front of others.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
};

/// Credit that an owner gets at each of its turns, and the largest cost of a piece of work: every turn runs
/// at least one piece.
pub const QUANTUM: u64 = 16;

/// The waiting work of one owner.
#[derive(Debug)]
struct OwnerQueue<T> {
    /// Each piece with its cost, 1 to [`QUANTUM`], oldest first.
    waiting: VecDeque<(u64, T)>,
    /// Cost that the owner may still have run in its turn, with the rest of its last turn.
    credit: u64,
}

/// The result of a request to run.
#[derive(Debug, PartialEq, Eq)]
pub enum QueueEntry<T> {
    /// The piece runs at once; the item is returned.
    Runs(T),
    /// The piece waits.
    Waits,
    /// The owner has as many pieces waiting as it may have; the item is returned.
    Full(T),
}

/// Work that runs and work that waits.
#[derive(Debug)]
pub struct FairQueue<K, T> {
    slots: usize,
    running: usize,
    most_waiting: usize,
    owners: HashMap<K, OwnerQueue<T>>,
    /// The owners with waiting work, in the order of their turns.
    turns: VecDeque<K>,
    /// Whether the first of them has got the credit of its turn.
    turn_begun: bool,
}

impl<K: Clone + Eq + Hash, T> FairQueue<K, T> {
    /// Returns an empty queue in which `slots` pieces run at a time, and of each owner `most_waiting` wait.
    pub fn new(slots: usize, most_waiting: usize) -> Self {
        let (owners, turns) = (HashMap::new(), VecDeque::new());
        Self { slots: slots.max(1), running: 0, most_waiting, owners, turns, turn_begun: false }
    }

    /// Adds a piece of work. If it runs at once, [`FairQueue::leave`] has to follow.
    pub fn enter(&mut self, owner: &K, cost: u64, item: T) -> QueueEntry<T> {
        if self.is_free() {
            self.running += 1;
            return QueueEntry::Runs(item);
        }
        let queue = self.owners.get(owner).map_or(0, |queue| queue.waiting.len());
        if queue >= self.most_waiting {
            return QueueEntry::Full(item);
        }
        let queue = self.owners.entry(owner.clone()).or_insert_with(|| {
            self.turns.push_back(owner.clone());
            OwnerQueue { waiting: VecDeque::new(), credit: 0 }
        });
        queue.waiting.push_back((cost.clamp(1, QUANTUM), item));
        QueueEntry::Waits
    }

    /// Notes that a piece of work has ended, and returns the next one, which runs from now on.
    pub fn leave(&mut self) -> Option<T> {
        self.running = self.running.saturating_sub(1);
        let next = self.next()?;
        self.running += 1;
        Some(next)
    }

    /// Returns whether a piece that enters now runs at once.
    pub fn is_free(&self) -> bool {
        self.running < self.slots && self.turns.is_empty()
    }

    /// Returns the number of pieces that run.
    pub fn running(&self) -> usize {
        self.running
    }

    /// Returns the number of pieces that wait.
    pub fn waiting(&self) -> usize {
        self.owners.values().map(|queue| queue.waiting.len()).sum()
    }

    fn next(&mut self) -> Option<T> {
        // An owner whose turn begins has credit for any piece, so that two owners are looked at at most.
        for _ in 0..2 {
            let owner = self.turns.front()?.clone();
            let queue = self.owners.get_mut(&owner)?;
            if !self.turn_begun {
                queue.credit += QUANTUM;
                self.turn_begun = true;
            }
            let cost = queue.waiting.front().map_or(0, |(cost, _)| *cost);
            if cost > queue.credit {
                self.turns.rotate_left(1);
                self.turn_begun = false;
                continue;
            }
            queue.credit -= cost;
            let piece = queue.waiting.pop_front();
            if queue.waiting.is_empty() {
                // An owner without work keeps no credit: it could save turns otherwise.
                self.owners.remove(&owner);
                self.turns.pop_front();
                self.turn_begun = false;
            }
            return piece.map(|(_, item)| item);
        }
        None
    }
}

#[cfg(test)]
mod tests;
