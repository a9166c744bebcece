//! Telling a loss of stored state from work: what no program of ours ever does to the store.

use std::collections::BTreeSet;

use crate::{
    ports::{Batch, Change},
    store::keys::META,
};

/// What was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// `meta` is gone or another, and with it the epoch: the store was emptied, or another replica
    /// found a loss first.
    Epoch,
    /// What was observed of a server is gone, while the server stands.
    Derived,
}

/// Returns what a batch says was lost. Records are in no case judged by it: they come and go.
pub(super) fn of(batch: &Batch) -> Option<Loss> {
    if batch.changes.iter().any(|change| key(change) == META) {
        return Some(Loss::Epoch);
    }
    // Health and sample of a server are only ever deleted beside a change of the server itself.
    let servers: BTreeSet<&str> =
        batch.changes.iter().filter_map(|change| key(change).strip_prefix("servers/")).collect();
    let lost: BTreeSet<&str> = batch
        .changes
        .iter()
        .filter(|change| matches!(change, Change::Delete { .. }))
        .filter_map(|change| key(change).strip_prefix("health/").or(key(change).strip_prefix("load/")))
        .filter(|id| !servers.contains(id))
        .collect();
    // One server's alone is put right by its next poll.
    (lost.len() > 1).then_some(Loss::Derived)
}

fn key(change: &Change) -> &str {
    match change {
        Change::Put(entry) => &entry.key,
        Change::Delete { key } => key,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ports::Entry;

    fn put(key: &str) -> Change {
        let key = key.to_owned();
        Change::Put(Entry { key, value: Bytes::new(), create_revision: 1, mod_revision: 2 })
    }

    fn delete(key: &str) -> Change {
        Change::Delete { key: key.to_owned() }
    }

    fn judged(changes: &[Change]) -> Option<Loss> {
        of(&Batch { revision: 2, changes: changes.to_vec() })
    }

    #[test]
    fn f7_what_only_a_foreign_hand_deletes_is_a_loss() {
        assert_eq!(judged(&[delete("meetings/t/m"), delete("meta"), delete("servers/a")]), Some(Loss::Epoch));
        assert_eq!(judged(&[put("meta")]), Some(Loss::Epoch));
        assert_eq!(judged(&[delete("health/a"), delete("health/b")]), Some(Loss::Derived));
        assert_eq!(judged(&[delete("load/a"), delete("health/c"), put("servers/b")]), Some(Loss::Derived));
    }

    #[test]
    fn f7_ordinary_work_is_no_loss() {
        let removed = [delete("health/a"), delete("load/a"), delete("servers/a")];
        assert_eq!(judged(&removed), None);
        assert_eq!(judged(&[delete("load/a")]), None, "the next poll writes it again");
        assert_eq!(judged(&[delete("health/a"), delete("load/a"), put("servers/a")]), None);
        assert_eq!(judged(&[delete("meetings/t/m"), put("load/a"), delete("zombies/t/m/a")]), None);
    }
}
