//! A map of shared shards. A clone costs one pointer per shard, and a change after a clone copies only the
//! shard of its key. A snapshot can thus be read while the original changes.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash},
    sync::Arc,
};

use foldhash::quality::RandomState;

/// The number of shards, a power of two. With a million entries a shard has about 250.
const SHARDS: usize = 4096;

/// A map whose clones share their unchanged parts.
#[derive(Debug, Clone)]
pub struct ShardedMap<K, V> {
    shards: Vec<Arc<HashMap<K, V, RandomState>>>,
    hasher: RandomState,
    len: usize,
}

impl<K, V> Default for ShardedMap<K, V> {
    fn default() -> Self {
        let hasher = RandomState::default();
        let empty = Arc::new(HashMap::with_hasher(hasher.clone()));
        Self { shards: vec![empty; SHARDS], hasher, len: 0 }
    }
}

impl<K: Hash + Eq + Clone, V: Clone> ShardedMap<K, V> {
    fn shard_of(&self, key: &K) -> usize {
        // The high bits choose the shard, because the low bits choose the bucket inside the shard.
        (self.hasher.hash_one(key) >> 40) as usize & (SHARDS - 1)
    }

    /// Returns the value of a key.
    pub fn get(&self, key: &K) -> Option<&V> {
        self.shards[self.shard_of(key)].get(key)
    }

    /// Sets a value and returns the one it replaces.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        let shard = self.shard_of(&key);
        let old = Arc::make_mut(&mut self.shards[shard]).insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    /// Removes a key and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let shard = self.shard_of(key);
        if !self.shards[shard].contains_key(key) {
            return None;
        }
        self.len -= 1;
        Arc::make_mut(&mut self.shards[shard]).remove(key)
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Tells whether the map is empty.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns every entry, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flat_map(|shard| shard.iter())
    }

    /// Visits the entries in which `self` and `other` may differ: the entries of shards that they do not share.
    pub fn unshared<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a K, &'a V)> {
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

    #[test]
    fn clones_share_unchanged_shards() {
        let mut map = ShardedMap::default();
        for key in 0..10_000_u32 {
            map.insert(key, key);
        }
        let snapshot = map.clone();
        map.insert(7, 70);
        map.remove(&8);
        assert_eq!((snapshot.get(&7), snapshot.get(&8), snapshot.len()), (Some(&7), Some(&8), 10_000));
        assert_eq!((map.get(&7), map.get(&8), map.len()), (Some(&70), None, 9_999));
        assert!(map.unshared(&snapshot).count() < 100, "only the changed shards are visited");
    }
}
