//! Finds one BBB server under two ids, in a list or in a list and the fleet. Each entry would be polled and
//! counted, and the meetings of the server would belong to neither entry alone (ADR 21). Such a list is refused
//! before any change is made.

use std::{collections::BTreeMap, fmt};

use usher_model::{id::ServerId, server::place_of};

use super::{server_list::ServerSpec, sync::CurrentServer};

/// Two ids of servers with one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressConflict {
    /// The id that the list gives to the address.
    pub listed: ServerId,
    /// The id that has the address already: in the fleet, or earlier in the list.
    pub taken_by: ServerId,
    /// Whether the fleet has the address already; else an earlier entry of the list has it.
    pub in_fleet: bool,
}

impl fmt::Display for AddressConflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listed, taken_by, in_fleet } = self;
        let place = if *in_fleet { "in the fleet" } else { "earlier in the list" };
        write!(f, "`{listed}` has the address that `{taken_by}` has {place}: list it as `{taken_by}`")
    }
}

/// Returns the addresses that a list gives to an id although another id has them. If the list changes the address
/// of a server of the fleet, its old address is free.
pub fn address_conflicts(current: &[CurrentServer], wanted: &[ServerSpec]) -> Vec<AddressConflict> {
    let named: BTreeMap<&ServerId, String> =
        wanted.iter().map(|spec| (&spec.id, place_of(&spec.url))).collect();
    let mut owners: BTreeMap<String, (&ServerId, bool)> = BTreeMap::new();
    for server in current {
        let place = place_of(&server.url);
        if named.get(&server.id).is_none_or(|new| *new == place) {
            owners.insert(place, (&server.id, true));
        }
    }
    let mut conflicts = Vec::new();
    for spec in wanted {
        match owners.get(&place_of(&spec.url)) {
            Some((owner, in_fleet)) if **owner != spec.id => conflicts.push(AddressConflict {
                listed: spec.id.clone(),
                taken_by: (*owner).clone(),
                in_fleet: *in_fleet,
            }),
            Some(_) => {}
            None => drop(owners.insert(place_of(&spec.url), (&spec.id, false))),
        }
    }
    conflicts
}

#[cfg(test)]
mod tests {
    use usher_bbb::secret::Secret;
    use usher_model::server::AdminState;

    use super::*;

    fn spec(id: &str, url: &str) -> ServerSpec {
        ServerSpec {
            id: ServerId::parse(id).unwrap(),
            url: url.to_owned(),
            secret: Secret::new("secret"),
            enabled: true,
            weight: 1.0,
            tags: Vec::new(),
        }
    }

    fn current(id: &str, url: &str) -> CurrentServer {
        let ServerSpec { id, url, secret, weight, tags, .. } = spec(id, url);
        CurrentServer { id, url, secret, weight, tags, admin: AdminState::Enabled, meetings: 0, users: 0 }
    }

    fn conflicts(current: &[CurrentServer], wanted: &[ServerSpec]) -> Vec<(String, String, bool)> {
        let found = address_conflicts(current, wanted).into_iter();
        found.map(|found| (found.listed.to_string(), found.taken_by.to_string(), found.in_fleet)).collect()
    }

    #[test]
    fn a_list_with_other_ids_for_the_servers_of_the_fleet_is_found() {
        let fleet = [current("bbb1", "https://b1/bigbluebutton/api/")];
        let same = spec("bbb1", "https://b1/bigbluebutton/api/");
        let again = spec("b1", "http://B1:80/bigbluebutton/api");
        assert_eq!(conflicts(&fleet, std::slice::from_ref(&same)), []);
        assert_eq!(conflicts(&fleet, std::slice::from_ref(&again)), [("b1".into(), "bbb1".into(), true)]);
        assert_eq!(conflicts(&fleet, &[again, same]), [("b1".into(), "bbb1".into(), true)]);
    }

    #[test]
    fn one_address_twice_in_a_list_is_found() {
        let list = [spec("a", "https://b1/bigbluebutton/api/"), spec("b", "https://b1/bigbluebutton/api/")];
        assert_eq!(conflicts(&[], &list), [("b".into(), "a".into(), false)]);
    }

    #[test]
    fn servers_that_exchange_addresses_are_no_conflict() {
        let fleet = [current("a", "https://b1/x/api/"), current("b", "https://b2/x/api/")];
        let list = [spec("a", "https://b3/x/api/"), spec("c", "https://b1/x/api/")];
        assert_eq!(conflicts(&fleet, &list), []);
    }
}
