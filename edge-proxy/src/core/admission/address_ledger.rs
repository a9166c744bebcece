//! The connections and the pace of each client address.

use std::{collections::HashMap, sync::Arc};

use super::{address_group::AddressGroup, request_pace::RequestPace};

/// Largest number of clients without a connection whose pace is remembered. A client that connects anew for
/// each request would have no pace otherwise.
const RESTING_MAX: usize = 16_384;

#[derive(Debug, Default)]
struct AddressEntry {
    connections: u64,
    pace: Arc<RequestPace>,
}

/// The clients that have connections, and some that had one a moment ago.
#[derive(Debug, Default)]
pub struct AddressLedger {
    entries: HashMap<AddressGroup, AddressEntry>,
    /// Number of entries without a connection.
    resting: usize,
}

impl AddressLedger {
    /// Adds a connection of a client at `now`, nanoseconds, and returns the client's pace; `None` if the
    /// client has `most` connections already. [`AddressLedger::close`] has to follow.
    pub fn open(&mut self, client: AddressGroup, most: u64, now: u64) -> Option<Arc<RequestPace>> {
        if self.resting > RESTING_MAX {
            self.forget_rested(now);
        }
        if most == 0 {
            return None;
        }
        let mut is_new = false;
        let entry = self.entries.entry(client).or_insert_with(|| {
            is_new = true;
            AddressEntry::default()
        });
        if entry.connections >= most {
            return None;
        }
        if entry.connections == 0 && !is_new {
            self.resting -= 1;
        }
        entry.connections += 1;
        Some(Arc::clone(&entry.pace))
    }

    /// Removes a connection of a client at `now`, nanoseconds.
    pub fn close(&mut self, client: AddressGroup, now: u64) {
        let Some(entry) = self.entries.get_mut(&client) else { return };
        entry.connections = entry.connections.saturating_sub(1);
        if entry.connections > 0 {
            return;
        }
        if entry.pace.is_rested(now) {
            self.entries.remove(&client);
        } else {
            self.resting += 1;
        }
    }

    /// Returns the number of connections of a client.
    pub fn connections(&self, client: AddressGroup) -> u64 {
        self.entries.get(&client).map_or(0, |entry| entry.connections)
    }

    /// Returns the number of clients that are known.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether no client is known.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Forgets clients without a connection: those that are rested, and if that is not half of them, all. The
    /// cost of a sweep is thus spread over as many closed connections.
    fn forget_rested(&mut self, now: u64) {
        self.entries.retain(|_, entry| entry.connections > 0 || !entry.pace.is_rested(now));
        self.resting = self.entries.values().filter(|entry| entry.connections == 0).count();
        if self.resting > RESTING_MAX / 2 {
            self.entries.retain(|_, entry| entry.connections > 0);
            self.resting = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn connections_never_leak_and_never_exceed_the_limit(
            events in prop::collection::vec((0_u32..5, any::<bool>(), 0_u64..3_000_000_000), 0..200),
            most in 1_u64..4,
        ) {
            let (mut ledger, mut now, mut open) = (AddressLedger::default(), 0, [0_u64; 5]);
            for (client, opens, step) in events {
                now += step;
                let group = AddressGroup::V4(client);
                let held = &mut open[client as usize];
                if opens {
                    let pace = ledger.open(group, most, now);
                    prop_assert_eq!(pace.is_some(), *held < most);
                    if let Some(pace) = pace {
                        pace.admits(now, 2);
                        *held += 1;
                    }
                } else if *held > 0 {
                    ledger.close(group, now);
                    *held -= 1;
                }
                prop_assert_eq!(ledger.connections(group), open[client as usize]);
                let resting = ledger.entries.values().filter(|entry| entry.connections == 0).count();
                prop_assert_eq!(ledger.resting, resting);
            }
        }
    }

    #[test]
    fn a_client_cannot_rest_by_a_new_connection() {
        let (mut ledger, client) = (AddressLedger::default(), AddressGroup::V4(1));
        for _ in 0..3 {
            let pace = ledger.open(client, 9, 0).unwrap();
            pace.admits(0, 2);
            ledger.close(client, 0);
        }
        assert!(!ledger.open(client, 9, 0).unwrap().admits(0, 2));
    }

    #[test]
    fn clients_that_come_once_take_bounded_memory() {
        let mut ledger = AddressLedger::default();
        for client in 0..200_000 {
            let pace = ledger.open(AddressGroup::V4(client), 9, 0).unwrap();
            pace.admits(0, 2);
            ledger.close(AddressGroup::V4(client), 0);
            assert!(ledger.len() <= RESTING_MAX + 2);
        }
        for client in 0..1_000 {
            ledger.open(AddressGroup::V6(client), 9, 0).unwrap();
            ledger.close(AddressGroup::V6(client), u64::MAX);
        }
        assert!(ledger.len() <= RESTING_MAX + 2);
    }
}
