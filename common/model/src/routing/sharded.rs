//! A set of shared shards whose entries contain their keys. A clone costs one pointer per shard, and a
//! change after a clone copies only the shard of its key. A snapshot can thus be read while the original
//! changes.

use std::{
    borrow::Borrow,
    collections::HashSet,
    hash::{BuildHasher, Hash},
    marker::PhantomData,
    sync::Arc,
};

use foldhash::quality::RandomState;

/// The number of shards, a power of two. With a million entries a shard has about 250.
const SHARDS: usize = 4096;

/// A set whose clones share their unchanged parts. Entries equal each other and hash as their keys do. A
/// map would hold each key twice, also in its free places.
#[derive(Debug, Clone)]
pub(super) struct ShardedSet<K, E> {
    shards: Vec<Arc<HashSet<E, RandomState>>>,
    hasher: RandomState,
    len: usize,
    key: PhantomData<K>,
}

impl<K, E> Default for ShardedSet<K, E> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let empty = Arc::new(HashSet::with_hasher(hasher.clone()));
        Self { shards: vec![empty; SHARDS], hasher, len: 0, key: PhantomData }
    }
}

impl<K: Hash + Eq, E: Hash + Eq + Clone + Borrow<K>> ShardedSet<K, E> {
    fn shard_of(&self, key: &K) -> usize {
        // The high bits choose the shard, because the low bits choose the bucket inside the shard.
        (self.hasher.hash_one(key) >> 40) as usize & (SHARDS - 1)
    }

    /// Returns the entry of a key.
    pub(super) fn get(&self, key: &K) -> Option<&E> {
        self.shards[self.shard_of(key)].get(key)
    }

    /// Sets an entry and returns the one it replaces.
    pub(super) fn insert(&mut self, entry: E) -> Option<E> {
        let shard = self.shard_of(entry.borrow());
        let old = Arc::make_mut(&mut self.shards[shard]).replace(entry);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes the entry of a key and returns it.
    pub(super) fn remove(&mut self, key: &K) -> Option<E> {
        let shard = self.shard_of(key);
        if !self.shards[shard].contains(key) {
            return None;
        }
        self.len -= 1;
        Arc::make_mut(&mut self.shards[shard]).take(key)
    }

    /// Returns the number of entries.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Returns every entry, in no particular order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &E> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Visits the entries in which `self` and `other` may differ: the entries of shards that they do not share.
    pub(super) fn unshared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a E> {
        let comparable = self.hasher_is_shared(other);
        self.shards
            .iter()
            .enumerate()
            .filter(move |(index, shard)| !comparable || !Arc::ptr_eq(shard, &other.shards[*index]))
            .flat_map(|(_, shard)| shard.iter())
    }

    fn hasher_is_shared(&self, other: &Self) -> bool {
        const PROBE: u64 = 0x5eed;
        self.hasher.hash_one(PROBE) == other.hasher.hash_one(PROBE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value with its key. Values of one key are equal entries.
    #[derive(Debug, Clone, Copy)]
    struct Valued(u32, u32);

    impl Borrow<u32> for Valued {
        fn borrow(&self) -> &u32 {
            &self.0
        }
    }

    impl PartialEq for Valued {
        fn eq(&self, other: &Self) -> bool {
            self.0 == other.0
        }
    }

    impl Eq for Valued {}

    impl Hash for Valued {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    #[test]
    fn clones_share_unchanged_shards() {
        let mut set = ShardedSet::default();
        for key in 0..10_000_u32 {
            set.insert(Valued(key, key));
        }
        let snapshot = set.clone();
        let value = |entry: Option<Valued>| entry.map(|Valued(_, value)| value);
        assert_eq!(value(set.insert(Valued(7, 70))), Some(7));
        assert_eq!(value(set.remove(&8)), Some(8));
        let get = |set: &ShardedSet<u32, Valued>, key| value(set.get(&key).copied());
        assert_eq!((get(&snapshot, 7), get(&snapshot, 8), snapshot.len()), (Some(7), Some(8), 10_000));
        assert_eq!((get(&set, 7), get(&set, 8), set.len()), (Some(70), None, 9_999));
        assert!(set.unshared(&snapshot).count() < 100, "only the changed shards are visited");
    }
}
