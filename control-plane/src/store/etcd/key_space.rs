//! Usher's part of etcd's key space: the keys below one prefix. Only this adapter handles full
//! keys.

use bytes::Bytes;
use etcd_client::KeyValue;

use crate::ports::StoreEntry;

/// The keys below the configured prefix.
#[derive(Debug, Clone)]
pub(super) struct KeySpace {
    prefix: String,
}

impl KeySpace {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    /// Returns the complete key.
    pub(super) fn full(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    /// Returns a key without the prefix. A key that is not UTF-8 was not written by Usher; it is
    /// passed on lossily, so that the reader of keys reports it.
    pub(super) fn relative(&self, key: &[u8]) -> String {
        let key = key.strip_prefix(self.prefix.as_bytes()).unwrap_or(key);
        String::from_utf8_lossy(key).into_owned()
    }

    pub(super) fn entry(&self, pair: KeyValue) -> StoreEntry {
        let (create_revision, mod_revision) = (pair.create_revision(), pair.mod_revision());
        let (key, value) = pair.into_key_value();
        StoreEntry {
            key: self.relative(&key),
            value: Bytes::from(value),
            create_revision: number(create_revision),
            mod_revision: number(mod_revision),
        }
    }
}

/// Returns the first key after all keys that start with `prefix`; `\0` means "no end" in etcd.
pub(super) fn end_of(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return end;
        }
    }
    vec![0]
}

/// Converts a revision into the signed form that etcd uses.
pub(super) fn revision(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(super) fn number(revision: i64) -> u64 {
    u64::try_from(revision).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_key_that_does_not_start_with_it() {
        assert_eq!(end_of("/usher/"), b"/usher0");
        assert_eq!(end_of(""), b"\0");
    }

    #[test]
    fn keys_lose_the_prefix_they_were_given() {
        let space = KeySpace::new("/usher/");
        assert_eq!(space.full("servers/a"), "/usher/servers/a");
        assert_eq!(space.relative(b"/usher/servers/a"), "servers/a");
    }
}
