use proptest::prelude::*;
use usher_bbb::secret::Secret;

use super::*;
use crate::core::sync::{SyncMode, plan};

fn id(name: &str) -> ServerId {
    ServerId::parse(name).expect("is an id")
}

fn server(name: &str, admin: AdminState, meetings: u32) -> CurrentServer {
    CurrentServer {
        id: id(name),
        url: format!("https://{name}/bigbluebutton/api/"),
        secret: Secret::new("s"),
        weight: 1.0,
        tags: Vec::new(),
        admin,
        meetings,
        users: meetings * 10,
    }
}

fn fleet(busy: usize, idle: usize, disabled: usize) -> Vec<CurrentServer> {
    let of = |kind: &'static str, count, admin, meetings| {
        (0..count).map(move |number| server(&format!("{kind}{number}"), admin, meetings))
    };
    of("busy", busy, AdminState::Enabled, 2)
        .chain(of("idle", idle, AdminState::Enabled, 0))
        .chain(of("off", disabled, AdminState::Disabled, 0))
        .collect()
}

/// Returns the list of a fleet without the servers in `left_out`.
fn list(fleet: &[CurrentServer], left_out: &[&str]) -> Vec<ServerSpec> {
    let named = |server: &&CurrentServer| !left_out.contains(&server.id.as_str());
    fleet.iter().filter(named).map(CurrentServer::spec).collect()
}

fn shrinkage(fleet: &[CurrentServer], left_out: &[&str], mode: SyncMode) -> FleetShrinkage {
    let wanted = list(fleet, left_out);
    FleetShrinkage::of(fleet, &wanted, &plan(fleet, &wanted, mode))
}

#[test]
fn s10_a_share_is_a_whole_number_of_percent() {
    for (text, wanted) in [("34%", 34), ("34", 34), ("0%", 0), ("100%", 100), (" 7 % ", 7), ("007", 7)] {
        assert_eq!(text.parse(), Ok(Percent(wanted)), "{text:?}");
    }
    for text in ["", "%", "101%", "-1%", "+5", "1.5%", "a third", "5%%", "256", "1e1"] {
        assert_eq!(text.parse::<Percent>(), Err(InvalidPercent), "{text:?}");
    }
}

#[test]
fn s10_a_list_that_lost_its_servers_is_refused() {
    for mode in [SyncMode::Cordon, SyncMode::Force] {
        for count in 1..=4 {
            let fleet = fleet(count, 0, 0);
            let all = FleetShrinkage::of(&fleet, &[], &plan(&fleet, &[], mode));
            assert!(!all.is_within(None), "{count} servers");
            assert_eq!((all.hit.len(), all.in_use, all.meetings), (count, count, count as u64 * 2));
            assert_eq!((all.users, all.needed()), (count as u64 * 20, Percent(100)));
            assert!(!all.is_within(Some(Percent(99))) && all.is_within(Some(Percent(100))));
        }
    }
    let fleet = fleet(3, 0, 0);
    assert!(FleetShrinkage::of(&fleet, &[], &plan(&fleet, &[], SyncMode::Keep)).is_within(Some(Percent(0))));
}

#[test]
fn s10_more_than_a_third_is_refused_and_a_third_is_not() {
    for (count, left_out, within) in [
        (1, &["idle0"][..], false),
        (2, &["idle0"], false),
        (3, &["idle0"], true),
        (3, &["idle0", "idle1"], false),
        (6, &["idle0", "idle1"], true),
        (7, &["idle0", "idle1", "idle2"], false),
    ] {
        let shrinkage = shrinkage(&fleet(0, count, 0), left_out, SyncMode::Cordon);
        assert_eq!(shrinkage.is_within(None), within, "{left_out:?} of {count}");
        assert!(shrinkage.is_within(Some(shrinkage.needed())), "{shrinkage}");
    }
    assert_eq!(shrinkage(&fleet(0, 3, 0), &["idle0"], SyncMode::Cordon).needed(), Percent(34));
}

#[test]
fn s10_a_list_that_takes_every_server_with_meetings_is_refused() {
    let fleet = fleet(1, 9, 0);
    let busy = shrinkage(&fleet, &["busy0"], SyncMode::Cordon);
    assert!(
        !busy.is_within(None) && !busy.is_within(Some(Percent(99))) && busy.is_within(Some(Percent(100)))
    );
    assert!(shrinkage(&fleet, &["idle0"], SyncMode::Cordon).is_within(None));
}

#[test]
fn s10_servers_out_of_use_count_neither_way() {
    let mut fleet = fleet(0, 2, 8);
    assert!(shrinkage(&fleet, &["off0", "off1", "off2", "off3", "off4"], SyncMode::Force).hit.is_empty());
    assert!(!shrinkage(&fleet, &["idle0"], SyncMode::Cordon).is_within(None), "one of two");
    fleet.push(server("empty", AdminState::Cordoned, 0));
    assert!(
        shrinkage(&fleet, &["empty"], SyncMode::Cordon).hit.is_empty(),
        "it takes no meetings and has none"
    );
    fleet.push(server("draining", AdminState::Cordoned, 3));
    let forced = shrinkage(&fleet, &["draining"], SyncMode::Force);
    assert_eq!((forced.hit.len(), forced.meetings), (1, 3), "the ids of its meetings are freed");
    assert!(shrinkage(&fleet, &["draining"], SyncMode::Cordon).hit.is_empty(), "it continues to drain");
}

#[test]
fn s10_servers_that_the_list_switches_off_count_like_missing_ones() {
    let fleet = fleet(2, 0, 0);
    let off: Vec<ServerSpec> =
        list(&fleet, &[]).into_iter().map(|spec| ServerSpec { enabled: false, ..spec }).collect();
    let switched = FleetShrinkage::of(&fleet, &off, &plan(&fleet, &off, SyncMode::Keep));
    assert_eq!(switched.hit.len(), 2);
    assert!(!switched.is_within(None), "the mode `keep` concerns only servers that are not listed");
}

#[test]
fn s10_a_list_that_changes_only_ids_is_reported_as_such_and_duplicates_count_once() {
    let fleet = fleet(2, 0, 0);
    let renamed: Vec<ServerSpec> = list(&fleet, &[])
        .into_iter()
        .map(|spec| ServerSpec { id: id(&format!("{}-new", spec.id)), ..spec })
        .collect();
    let twice: Vec<ServerSpec> = renamed.iter().chain(&renamed).cloned().collect();
    let shrinkage = FleetShrinkage::of(&fleet, &twice, &plan(&fleet, &twice, SyncMode::Force));
    assert_eq!((shrinkage.hit.len(), shrinkage.renamed, shrinkage.meetings), (2, 2, 4), "panic and remove");
    assert!(!shrinkage.is_within(None));
    let said = shrinkage.to_string();
    assert!(
        said.contains("2 of 2 servers") && said.contains("4 meetings") && said.contains("40 users"),
        "{said}"
    );
    assert!(said.contains("2 of them by another id"), "{said}");
}

fn admin() -> impl Strategy<Value = AdminState> {
    prop_oneof![Just(AdminState::Enabled), Just(AdminState::Cordoned), Just(AdminState::Disabled)]
}

proptest! {
    #[test]
    fn s10_without_a_share_a_list_never_takes_more_than_a_third_or_all_busy_servers(
        states in proptest::collection::vec((admin(), 0..3_u32, 0..3_u8), 0..9),
        mode in prop_oneof![Just(SyncMode::Keep), Just(SyncMode::Cordon), Just(SyncMode::Force)],
        allowed in 0..=100_u8,
    ) {
        let fleet: Vec<CurrentServer> =
            states.iter().enumerate().map(|(n, (admin, meetings, _))| server(&format!("s{n}"), *admin, *meetings)).collect();
        let wanted: Vec<ServerSpec> = fleet.iter().zip(&states).filter(|(_, (.., named))| *named > 0)
            .map(|(server, (.., named))| ServerSpec { enabled: *named > 1, ..server.spec() }).collect();
        let changes = plan(&fleet, &wanted, mode);
        let shrinkage = FleetShrinkage::of(&fleet, &wanted, &changes);
        // Counted a second time, from the servers that remain.
        let stays = |server: &&CurrentServer| {
            let about = |change: &&FleetChange| *change.server() == server.id;
            !changes.iter().filter(about).any(|change| matches!(change, FleetChange::Cordon(_) | FleetChange::Panic(_) | FleetChange::Remove(_)))
        };
        let used: Vec<&CurrentServer> = fleet.iter().filter(|s| s.admin == AdminState::Enabled || s.meetings > 0).collect();
        let left = used.iter().copied().filter(stays).count();
        let busy = used.iter().filter(|s| s.meetings > 0).count();
        let busy_left = used.iter().copied().filter(stays).filter(|s| s.meetings > 0).count();
        if shrinkage.is_within(None) {
            prop_assert!((used.len() - left) * 3 <= used.len());
            prop_assert!(busy == 0 || busy_left > 0 || left == used.len());
        }
        if shrinkage.is_within(Some(Percent(allowed))) {
            prop_assert!((used.len() - left) * 100 <= used.len() * usize::from(allowed));
        }
        prop_assert!(shrinkage.is_within(Some(Percent(100))));
    }
}
