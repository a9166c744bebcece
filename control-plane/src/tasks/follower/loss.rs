//! Detection of lost state: changes of the store that no program of Usher makes (ADR 8).

use crate::{
    ports::{ChangeBatch, KeyChange},
    store::keys::{self, META},
};

/// The kind of loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StateLoss {
    /// `meta` was deleted or replaced, and with it the epoch: the store was emptied, or another
    /// replica found a loss first.
    Epoch,
    /// Another program deleted entries that the fleet folds.
    Taken,
}

/// Returns the loss that a batch shows, if any.
pub(super) fn of(batch: &ChangeBatch) -> Option<StateLoss> {
    if batch.changes.iter().any(|change| key(change) == META) {
        return Some(StateLoss::Epoch);
    }
    (!batch.attested && batch.changes.iter().any(takes)).then_some(StateLoss::Taken)
}

/// Returns whether a change deletes an entry of the fleet. A candidate's key, which ends with its
/// lease, and a request for a poll are not entries of the fleet.
fn takes(change: &KeyChange) -> bool {
    matches!(change, KeyChange::Delete { key } if matches!(keys::parse(key), Ok(Some(_))))
}

fn key(change: &KeyChange) -> &str {
    match change {
        KeyChange::Put(entry) => &entry.key,
        KeyChange::Delete { key } => key,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ports::StoreEntry;

    fn put(key: &str) -> KeyChange {
        let key = key.to_owned();
        KeyChange::Put(StoreEntry { key, value: Bytes::new(), create_revision: 1, mod_revision: 2 })
    }

    fn delete(key: &str) -> KeyChange {
        KeyChange::Delete { key: key.to_owned() }
    }

    fn judged(changes: &[KeyChange], attested: bool) -> Option<StateLoss> {
        of(&ChangeBatch { revision: 2, changes: changes.to_vec(), attested })
    }

    #[test]
    fn f7_a_deletion_by_another_program_is_a_loss() {
        let all = [delete("meetings/t/m"), delete("meta"), delete("servers/a")];
        assert_eq!(judged(&all, false), Some(StateLoss::Epoch));
        assert_eq!(judged(&[put("meta")], true), Some(StateLoss::Epoch));
        for key in ["health/a", "load/a", "meetings/t/m", "zombies/t/m/a", "servers/a", "tenants/t"] {
            assert_eq!(judged(&[delete(key)], false), Some(StateLoss::Taken), "{key}");
            assert_eq!(judged(&[put("load/b"), delete(key)], false), Some(StateLoss::Taken), "{key}");
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
