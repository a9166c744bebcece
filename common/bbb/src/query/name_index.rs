//! An index of many names, so that a lookup does not visit all of them.

use std::hash::{BuildHasher as _, RandomState};

use super::edit::compared_name;
use crate::work;

/// Names by the hash of their compared form. The hash is seeded anew for each index, because callers choose the
/// names, and could otherwise choose those of one hash.
#[derive(Debug, Clone)]
pub(super) struct NameIndex {
    seed: RandomState,
    /// The hash and the position of each name, sorted.
    slots: Box<[(u64, u32)]>,
}

impl NameIndex {
    /// Makes the index of decoded names, in their order.
    pub(super) fn new<'n>(names: impl Iterator<Item = &'n str>) -> Self {
        let seed = RandomState::new();
        let mut slots: Box<[(u64, u32)]> =
            (0..).zip(names).map(|(at, name)| (hash(&seed, name), at)).collect();
        work::count(slots.len() * depth(slots.len()));
        slots.sort_unstable();
        Self { seed, slots }
    }

    /// Returns the positions of all names that may be `name`, in their order. A few others may be among them.
    pub(super) fn candidates(&self, name: &str) -> impl Iterator<Item = usize> + use<'_> {
        work::count(depth(self.slots.len()));
        let wanted = hash(&self.seed, name);
        let first = self.slots.partition_point(|(hash, _)| *hash < wanted);
        let alike = self.slots[first..].iter().take_while(move |(hash, _)| *hash == wanted);
        alike.map(|(_, at)| *at as usize)
    }
}

/// Returns the number of comparisons that find one of `count` sorted numbers.
fn depth(count: usize) -> usize {
    count.checked_ilog2().unwrap_or(0) as usize + 1
}

fn hash(seed: &RandomState, name: &str) -> u64 {
    work::count(name.len());
    seed.hash_one(&*compared_name(name.into()))
}
