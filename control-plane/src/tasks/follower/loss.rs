//! Telling a loss of stored state from work: what no program of ours ever does to the store.

use crate::{
    ports::{Batch, Change},
    store::keys::{self, META},
};

/// What was taken away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Loss {
    /// `meta` is gone or another, and with it the epoch: the store was emptied, or another replica
    /// found a loss first.
    Epoch,
    /// A foreign hand deleted what the fleet is made of.
    Taken,
}

/// Returns what a batch says was lost.
pub(super) fn of(batch: &Batch) -> Option<Loss> {
    if batch.changes.iter().any(|change| key(change) == META) {
        return Some(Loss::Epoch);
    }
    (!batch.attested && batch.changes.iter().any(takes)).then_some(Loss::Taken)
}

/// Tells whether a change takes something out of the fleet. A candidate's key, which goes with its
/// lease, and an ask for a poll are no part of it.
fn takes(change: &Change) -> bool {
    matches!(change, Change::Delete { key } if matches!(keys::parse(key), Ok(Some(_))))
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

    fn judged(changes: &[Change], attested: bool) -> Option<Loss> {
        of(&Batch { revision: 2, changes: changes.to_vec(), attested })
    }

    #[test]
    fn f7_what_only_a_foreign_hand_deletes_is_a_loss() {
        let all = [delete("meetings/t/m"), delete("meta"), delete("servers/a")];
        assert_eq!(judged(&all, false), Some(Loss::Epoch));
        assert_eq!(judged(&[put("meta")], true), Some(Loss::Epoch));
        for key in ["health/a", "load/a", "meetings/t/m", "zombies/t/m/a", "servers/a", "tenants/t"] {
            assert_eq!(judged(&[delete(key)], false), Some(Loss::Taken), "{key}");
            assert_eq!(judged(&[put("load/b"), delete(key)], false), Some(Loss::Taken), "{key}");
        }
    }

    #[test]
    fn f7_ordinary_work_is_no_loss() {
        assert_eq!(judged(&[delete("health/a"), delete("load/a"), delete("servers/a")], true), None);
        assert_eq!(judged(&[delete("meetings/t/m"), put("load/a"), delete("zombies/t/m/a")], true), None);
        assert_eq!(judged(&[delete("election/7"), delete("polls/a")], false), None, "leases run out");
        assert_eq!(judged(&[put("meetings/t/m")], false), None);
    }
}
