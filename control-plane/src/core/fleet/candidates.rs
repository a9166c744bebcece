//! The index of the servers that most placements choose from: enabled, without tags. They stand in
//! the order of their load per weight, so that a choice looks at the least loaded ones and not at
//! all of them. Of equally loaded servers it looks at each, because the hash of meeting and server decides
//! (F4).

use std::{cmp::Ordering, collections::BTreeSet, time::Instant};

use foldhash::{HashMap, HashMapExt};
use usher_model::id::ServerId;

/// A number in its total order.
#[derive(Debug, Clone, Copy)]
struct OrderedNumber(f64);

impl PartialEq for OrderedNumber {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for OrderedNumber {}

impl PartialOrd for OrderedNumber {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for OrderedNumber {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

/// The values by which a server is indexed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct CandidateValues {
    pub(super) weight: f64,
    /// Predicted users per weight, without slow start; `None` while the server is not online.
    pub(super) load: Option<f64>,
    /// When the last sample of an online server was applied.
    pub(super) sampled_at: Option<Instant>,
    /// When the server became online, if this replica saw it.
    pub(super) online_since: Option<Instant>,
}

/// The enabled servers without tags.
#[derive(Debug, Clone)]
pub struct CandidateIndex {
    all: HashMap<ServerId, CandidateValues>,
    by_load: BTreeSet<(OrderedNumber, ServerId)>,
    by_weight: BTreeSet<(OrderedNumber, ServerId)>,
    by_sample: BTreeSet<(Instant, ServerId)>,
    by_start: BTreeSet<(Instant, ServerId)>,
}

impl Default for CandidateIndex {
    fn default() -> Self {
        Self {
            all: HashMap::new(),
            by_load: BTreeSet::new(),
            by_weight: BTreeSet::new(),
            by_sample: BTreeSet::new(),
            by_start: BTreeSet::new(),
        }
    }
}

impl CandidateIndex {
    /// Sets the values of a server, or removes it.
    pub(super) fn set(&mut self, id: &ServerId, values: Option<CandidateValues>) {
        let old = match values {
            Some(values) => self.all.insert(id.clone(), values),
            None => self.all.remove(id),
        };
        if old == values {
            return;
        }
        if let Some(old) = old {
            self.by_weight.remove(&(OrderedNumber(old.weight), id.clone()));
            if let Some(load) = old.load {
                self.by_load.remove(&(OrderedNumber(load), id.clone()));
            }
            if let Some(at) = old.sampled_at {
                self.by_sample.remove(&(at, id.clone()));
            }
            if let Some(at) = old.online_since {
                self.by_start.remove(&(at, id.clone()));
            }
        }
        if let Some(new) = values {
            self.by_weight.insert((OrderedNumber(new.weight), id.clone()));
            self.by_load.extend(new.load.map(|load| (OrderedNumber(load), id.clone())));
            self.by_sample.extend(new.sampled_at.map(|at| (at, id.clone())));
            self.by_start.extend(new.online_since.map(|at| (at, id.clone())));
        }
    }

    /// Returns whether a server is in the index.
    pub fn contains(&self, id: &ServerId) -> bool {
        self.all.contains_key(id)
    }

    /// Returns the number of servers.
    pub fn enabled(&self) -> usize {
        self.all.len()
    }

    /// Returns the number of online servers.
    pub fn online(&self) -> usize {
        self.by_load.len()
    }

    /// Counts the online servers whose last sample was applied at `since` or later; `None` means any
    /// time. The cost depends on the number of the others.
    pub fn sampled_since(&self, since: Option<Instant>) -> usize {
        let old = since.map_or(0, |since| self.by_sample.iter().take_while(|(at, _)| *at < since).count());
        self.by_sample.len() - old
    }

    /// Counts the servers that became online after `time`; `None` means any time. The cost depends
    /// on this number.
    pub fn started_after(&self, time: Option<Instant>) -> usize {
        let after = |time: Instant| self.by_start.iter().rev().take_while(|(at, _)| *at > time).count();
        time.map_or(self.by_start.len(), after)
    }

    /// Returns the largest weight of a server.
    pub fn largest_weight(&self) -> f64 {
        self.by_weight.last().map_or(1.0, |(weight, _)| weight.0)
    }

    /// Visits the online servers in the order of their load per weight.
    pub fn by_load(&self) -> impl Iterator<Item = (f64, &ServerId)> {
        self.by_load.iter().map(|(load, id)| (load.0, id))
    }
}
