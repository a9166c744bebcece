//! The ids that a control plane has just called unknown, of one tenant. Applications ask again and again
//! whether a meeting runs that does not exist.
//!
//! An answer is remembered for a moment only, and never once this edge has seen a create of the id: one of
//! its own, or one that the routing stream brought. An answer that was requested before such a create and
//! comes after it is not remembered either.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// The time for which an id is unknown without another question. A create at another edge of which the
/// routing stream brings no word is noticed after this time.
const REMEMBERED: Duration = Duration::from_secs(1);
/// The largest number of ids. Each tenant has its own share, so that no tenant's unknown ids displace those
/// of another.
const MOST: usize = 256;
/// The number of counters of creates. Ids share them by their hash.
const COUNTERS: usize = 64;

/// The count of creates at the beginning of a lookup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CreatesSeen(u64);

/// The ids of one tenant that are unknown at present.
#[derive(Debug)]
pub struct UnknownMeetings {
    ids: Mutex<UnknownIds>,
    hasher: RandomState,
}

#[derive(Debug)]
struct UnknownIds {
    since: HashMap<Box<str>, Instant>,
    /// The numbers of creates that were seen, of the ids of each hash.
    creates: [u64; COUNTERS],
}

impl Default for UnknownMeetings {
    fn default() -> Self {
        let ids = UnknownIds { since: HashMap::new(), creates: [0; COUNTERS] };
        Self { ids: Mutex::new(ids), hasher: RandomState::new() }
    }
}

impl UnknownMeetings {
    fn lock(&self) -> MutexGuard<'_, UnknownIds> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counter(&self, id: &str) -> usize {
        usize::try_from(self.hasher.hash_one(id) % COUNTERS as u64).unwrap_or_default()
    }

    /// Returns whether a control plane has just called the id unknown.
    pub fn contains(&self, id: &str, now: Instant) -> bool {
        let ids = self.lock();
        ids.since.get(id).is_some_and(|since| now.saturating_duration_since(*since) < REMEMBERED)
    }

    /// Returns the present count, for a lookup of `id` that is about to begin.
    pub fn creates_seen(&self, id: &str) -> CreatesSeen {
        CreatesSeen(self.lock().creates[self.counter(id)])
    }

    /// Remembers that a lookup which began at `seen` has not found the id, unless a create of it may have
    /// been seen meanwhile.
    pub fn remember(&self, id: &str, seen: CreatesSeen, now: Instant) {
        let mut ids = self.lock();
        if ids.creates[self.counter(id)] != seen.0 {
            return;
        }
        if ids.since.len() >= MOST {
            ids.since.retain(|_, since| now.saturating_duration_since(*since) < REMEMBERED);
        }
        if ids.since.len() < MOST {
            ids.since.insert(id.into(), now);
        }
    }

    /// Notes that a create of the id was seen.
    pub fn created(&self, id: &str) {
        let mut ids = self.lock();
        let counter = self.counter(id);
        ids.creates[counter] = ids.creates[counter].wrapping_add(1);
        ids.since.remove(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_unknown_for_a_moment() {
        let (unknown, now) = (UnknownMeetings::default(), Instant::now());
        assert!(!unknown.contains("room", now));
        unknown.remember("room", unknown.creates_seen("room"), now);
        assert!(unknown.contains("room", now) && !unknown.contains("hall", now));
        assert!(!unknown.contains("room", now + REMEMBERED));
    }

    #[test]
    fn after_a_create_was_seen_no_earlier_lookup_makes_the_id_unknown() {
        let (unknown, now) = (UnknownMeetings::default(), Instant::now());
        unknown.remember("room", unknown.creates_seen("room"), now);
        let began = unknown.creates_seen("room");
        unknown.created("room");
        assert!(!unknown.contains("room", now));
        unknown.remember("room", began, now);
        assert!(!unknown.contains("room", now), "the lookup began before the create");
        unknown.remember("room", unknown.creates_seen("room"), now);
        assert!(unknown.contains("room", now), "it has ended meanwhile");
    }

    #[test]
    fn the_number_of_ids_is_bounded_and_old_ones_make_room() {
        let (unknown, now) = (UnknownMeetings::default(), Instant::now());
        for number in 0..10 * MOST {
            let id = number.to_string();
            unknown.remember(&id, unknown.creates_seen(&id), now);
        }
        assert_eq!(unknown.lock().since.len(), MOST);
        let later = now + REMEMBERED;
        unknown.remember("new", unknown.creates_seen("new"), later);
        assert!(unknown.contains("new", later) && unknown.lock().since.len() == 1);
    }
}
