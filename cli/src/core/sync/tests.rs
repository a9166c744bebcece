use proptest::prelude::*;

use super::*;

fn spec(id: &str) -> ServerSpec {
    ServerSpec {
        id: ServerId::parse(id).expect("is an id"),
        url: format!("https://{id}/bigbluebutton/api/"),
        secret: Secret::new("s"),
        enabled: true,
        weight: 1.0,
        tags: Vec::new(),
    }
}

fn current(id: &str, admin: AdminState, meetings: u32) -> CurrentServer {
    let ServerSpec { id, url, secret, weight, tags, .. } = spec(id);
    CurrentServer { id, url, secret, weight, tags, admin, meetings, users: 0 }
}

fn words(changes: &[FleetChange]) -> Vec<String> {
    changes.iter().map(|change| format!("{} {}", change.action(), change.server())).collect()
}

#[test]
fn s10_unlisted_servers_are_kept_cordoned_or_removed() {
    use AdminState::{Cordoned, Disabled, Enabled};
    let fleet = [
        current("busy", Enabled, 2),
        current("draining", Cordoned, 1),
        current("empty", Enabled, 0),
        current("off", Disabled, 0),
    ];
    assert_eq!(words(&plan(&fleet, &[], SyncMode::Keep)), Vec::<String>::new());
    assert_eq!(words(&plan(&fleet, &[], SyncMode::Cordon)), ["cordon busy", "remove empty", "remove off"]);
    let forced =
        ["panic busy", "remove busy", "panic draining", "remove draining", "remove empty", "remove off"];
    assert_eq!(words(&plan(&fleet, &[], SyncMode::Force)), forced);
}

#[test]
fn s5_a_server_that_is_listed_as_not_enabled_is_cordoned_and_never_disabled() {
    let wanted = [ServerSpec { enabled: false, ..spec("one") }];
    assert_eq!(
        words(&plan(&[current("one", AdminState::Enabled, 3)], &wanted, SyncMode::Keep)),
        ["cordon one"]
    );
    for admin in [AdminState::Cordoned, AdminState::Disabled] {
        assert!(plan(&[current("one", admin, 0)], &wanted, SyncMode::Force).is_empty());
        assert_eq!(words(&plan(&[current("one", admin, 0)], &[spec("one")], SyncMode::Keep)), ["enable one"]);
    }
}

#[test]
fn only_differing_fields_are_updated() {
    let wanted = [ServerSpec { secret: Secret::new("new"), weight: 2.0, ..spec("one") }];
    let changes = plan(&[current("one", AdminState::Enabled, 0)], &wanted, SyncMode::Keep);
    assert!(
        matches!(&changes[..], [FleetChange::Update(update)] if update.fields() == ["secret", "weight"]),
        "{changes:?}"
    );
    assert!(!format!("{changes:?}").contains("\"new\""));
}

fn admin() -> impl Strategy<Value = AdminState> {
    prop_oneof![Just(AdminState::Enabled), Just(AdminState::Cordoned), Just(AdminState::Disabled)]
}

prop_compose! {
    fn any_spec()(id in "[a-e]", host in "[xy]", secret in "[pq]", enabled: bool, weight in 1..3_u8, tag in "[t-v]?") -> ServerSpec {
        let tags = if tag.is_empty() { Vec::new() } else { vec![tag] };
        ServerSpec { url: format!("https://{host}/"), secret: Secret::new(&secret), enabled, weight: weight.into(), tags, ..spec(&id) }
    }
}

prop_compose! {
    fn any_server()(spec in any_spec(), admin in admin(), meetings in 0..2_u32) -> CurrentServer {
        let ServerSpec { id, url, secret, weight, tags, .. } = spec;
        CurrentServer { id, url, secret, weight, tags, admin, meetings, users: 0 }
    }
}

/// Changes the fleet as the control plane does for each change.
fn carry_out(fleet: &mut BTreeMap<ServerId, CurrentServer>, changes: &[FleetChange]) {
    for change in changes {
        match change {
            FleetChange::Create(spec) => {
                let admin = if spec.enabled { AdminState::Enabled } else { AdminState::Disabled };
                let ServerSpec { id, url, secret, weight, tags, .. } = spec.clone();
                let created =
                    CurrentServer { id: id.clone(), url, secret, weight, tags, admin, meetings: 0, users: 0 };
                let before = fleet.insert(id, created);
                assert!(before.is_none(), "created twice");
            }
            FleetChange::Update(update) => {
                let server = fleet.get_mut(&update.id).expect("is in the fleet");
                server.url = update.url.clone().unwrap_or(server.url.clone());
                server.secret = update.secret.clone().unwrap_or(server.secret.clone());
                server.weight = update.weight.unwrap_or(server.weight);
                server.tags = update.tags.clone().unwrap_or(server.tags.clone());
            }
            FleetChange::Enable(id) => {
                fleet.get_mut(id).expect("is in the fleet").admin = AdminState::Enabled;
            }
            FleetChange::Cordon(id) => {
                fleet.get_mut(id).expect("is in the fleet").admin = AdminState::Cordoned;
            }
            FleetChange::Panic(id) => {
                let server = fleet.get_mut(id).expect("is in the fleet");
                (server.admin, server.meetings) = (AdminState::Disabled, 0);
            }
            FleetChange::Remove(id) => {
                let server = fleet.remove(id).expect("is in the fleet");
                assert_eq!(server.meetings, 0, "S7: a server with meetings cannot be removed");
            }
        }
    }
}

proptest! {
    #[test]
    fn s10_a_plan_that_was_carried_out_is_empty_the_second_time(
        fleet in proptest::collection::vec(any_server(), 0..6),
        wanted in proptest::collection::vec(any_spec(), 0..6),
        mode in prop_oneof![Just(SyncMode::Keep), Just(SyncMode::Cordon), Just(SyncMode::Force)],
    ) {
        let mut fleet: BTreeMap<ServerId, CurrentServer> = fleet.into_iter().map(|s| (s.id.clone(), s)).collect();
        let now = |fleet: &BTreeMap<ServerId, CurrentServer>| fleet.values().cloned().collect::<Vec<_>>();
        let changes = plan(&now(&fleet), &wanted, mode);
        carry_out(&mut fleet, &changes);
        prop_assert_eq!(plan(&now(&fleet), &wanted, mode), vec![]);
        // The list of a fleet changes no server of it.
        let own: Vec<ServerSpec> = fleet.values().map(CurrentServer::spec).collect();
        prop_assert_eq!(plan(&now(&fleet), &own, SyncMode::Force), vec![]);
    }

    #[test]
    fn s10_keep_and_cordon_end_no_meeting_and_remove_no_server_in_use(
        fleet in proptest::collection::vec(any_server(), 0..6),
        wanted in proptest::collection::vec(any_spec(), 0..6),
    ) {
        prop_assert!(!plan(&fleet, &wanted, SyncMode::Keep).iter().any(FleetChange::is_destructive));
        let changes = plan(&fleet, &wanted, SyncMode::Cordon);
        prop_assert!(!changes.iter().any(|change| matches!(change, FleetChange::Panic(_))));
    }
}
