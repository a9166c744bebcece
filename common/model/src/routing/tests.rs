//! Tests of the laws of deltas (style P7).

use proptest::prelude::*;

use super::*;
use crate::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    server::{AdminState, Health},
    voice::VoiceBridge,
};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

fn at(seq: u64) -> Revision {
    Revision::new(1, seq)
}

fn server_route(id: &str, health: Health) -> ServerRoute {
    ServerRoute {
        id: ServerId::parse(id).unwrap(),
        url: format!("https://{id}/bigbluebutton/api/"),
        secret: Secret::new("s"),
        admin: AdminState::Enabled,
        health,
        algorithm: ChecksumAlgorithm::Sha256,
    }
}

fn meeting_route(id: u8, server: u8, instance: Option<u8>) -> MeetingRoute {
    let meeting = MeetingId::parse(&format!("m{id}")).unwrap();
    let state = match instance {
        None => RouteState::Pending,
        Some(n) => RouteState::Active(InternalMeetingId::parse(&format!("i-{n}")).unwrap()),
    };
    MeetingRoute {
        key: MeetingKey::new(TenantId::default_tenant(), meeting),
        server: ServerId::parse(&format!("s{server}")).unwrap(),
        state,
        voice_bridge: instance.and_then(|n| VoiceBridge::new(20_000 + u32::from(n))),
    }
}

/// A change of one entry: set or removed.
#[derive(Debug, Clone)]
enum Edit {
    Server(u8, Option<Health>),
    Tenant(u8, Option<bool>),
    Meeting(u8, Option<(u8, Option<u8>)>),
}

fn edit() -> impl Strategy<Value = Edit> {
    let health = prop::sample::select(vec![Health::Online, Health::Unhealthy, Health::Offline]);
    prop_oneof![
        (0_u8..4, prop::option::of(health)).prop_map(|(id, value)| Edit::Server(id, value)),
        (0_u8..3, prop::option::of(any::<bool>())).prop_map(|(id, value)| Edit::Tenant(id, value)),
        (0_u8..30, prop::option::of((0_u8..4, prop::option::of(0_u8..3))))
            .prop_map(|(id, value)| Edit::Meeting(id, value)),
    ]
}

fn delta(base: u64, edits: &[Edit]) -> RoutingDelta {
    let mut delta = RoutingDelta::new(at(base), at(base + 1));
    for edit in edits {
        match edit {
            Edit::Server(id, health) => {
                let name = format!("s{id}");
                let route = health.map(|health| server_route(&name, health));
                delta.servers.insert(ServerId::parse(&name).unwrap(), route);
            }
            Edit::Tenant(id, enabled) => {
                let id = TenantId::parse(&format!("t{id}")).unwrap();
                let secrets = vec![Secret::new("s")];
                let route =
                    enabled.map(|enabled| TenantRoute { secrets, enabled, ..TenantRoute::new(id.clone()) });
                delta.tenants.insert(id, route);
            }
            Edit::Meeting(id, value) => {
                let route = value.map(|(server, instance)| meeting_route(*id, server, instance));
                delta.meetings.insert(meeting_route(*id, 0, None).key, route);
            }
        }
    }
    delta
}

fn grown(start: &RoutingTable, batches: &[Vec<Edit>]) -> (RoutingTable, Vec<RoutingDelta>) {
    let (mut table, mut deltas) = (start.clone(), Vec::new());
    for edits in batches {
        let delta = delta(table.revision().seq, edits);
        table.apply(&delta).unwrap();
        deltas.push(delta);
    }
    (table, deltas)
}

fn batches() -> impl Strategy<Value = Vec<Vec<Edit>>> {
    prop::collection::vec(prop::collection::vec(edit(), 0..8), 0..8)
}

/// Returns a table with the same entries, built in another order and without shared structure.
fn rebuilt(table: &RoutingTable) -> RoutingTable {
    let mut snapshot = diff(&RoutingTable::empty(at(0)), table);
    let late = snapshot.meetings.split_off(&meeting_route(15, 0, None).key);
    let mut first = RoutingDelta::new(at(0), at(0));
    first.meetings = late;
    let mut rebuilt = RoutingTable::empty(at(0));
    rebuilt.apply(&first).unwrap();
    rebuilt.apply(&snapshot).unwrap();
    rebuilt
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// `apply(a, diff(a, b)) == b`, with and without shared structure, forwards and backwards.
    #[test]
    fn x4_the_difference_leads_from_one_table_to_the_other(one in batches(), two in batches()) {
        let (a, _) = grown(&RoutingTable::empty(at(0)), &one);
        let (b, _) = grown(&a, &two);
        for (from, to) in [(&a, &b), (&b, &a), (&rebuilt(&a), &b), (&a, &rebuilt(&b))] {
            let mut table = from.clone();
            table.apply(&diff(from, to)).unwrap();
            prop_assert_eq!(&table, to);
            prop_assert_eq!(table.digest(), to.digest());
        }
        prop_assert!(diff(&a, &rebuilt(&a)).is_empty());
    }

    /// Deltas that `then` joins have the effect of the single deltas.
    #[test]
    fn joined_deltas_equal_their_parts(edits in batches()) {
        let empty = RoutingTable::empty(at(0));
        let (whole, deltas) = grown(&empty, &edits);
        let mut sum = RoutingDelta::new(at(0), at(0));
        for delta in &deltas {
            sum.then(delta).unwrap();
        }
        let mut table = empty;
        table.apply(&sum).unwrap();
        prop_assert_eq!(table, whole);
    }

    /// The digest depends only on the entries, and differs if they differ.
    #[test]
    fn i9_digests_are_equal_exactly_for_equal_entries(one in batches(), more in edit()) {
        let (table, _) = grown(&RoutingTable::empty(at(0)), &one);
        prop_assert_eq!(rebuilt(&table).digest(), table.digest());
        let (other, _) = grown(&table, &[vec![more]]);
        prop_assert_eq!(other.digest() == table.digest(), diff(&table, &other).is_empty());
    }

    /// X4, I10: a delta that is lost, doubled or of another epoch is distinguished from the next one.
    #[test]
    fn x4_a_delta_applies_to_its_base_alone(edits in batches(), other in 0_u64..20) {
        let (table, _) = grown(&RoutingTable::empty(at(0)), &edits);
        let mut target = table.clone();
        let wrong = RoutingDelta::new(at(other), at(other + 1));
        prop_assert_eq!(target.apply(&wrong).is_ok(), other == table.revision().seq);
        let foreign = RoutingDelta::new(Revision::new(2, table.revision().seq), at(99));
        prop_assert!(table.clone().apply(&foreign).is_err());
    }
}
