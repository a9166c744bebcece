use proptest::prelude::*;
use usher_model::{routing::TenantRoute, settings::PlacementSettings};

use super::*;
use crate::core::{
    health,
    plan::{FleetKey, Plan, PlanWrite},
    policy::Policy,
    testkit::{FleetBench, listed, record, sid},
};

/// Old meetings of tenant `default`, each as (id, users).
fn crowds(watermark: u64, crowds: &[(&str, u32)]) -> ServerSample {
    let of = |(id, participants): &(&str, u32)| SampledMeeting {
        participants: *participants,
        ..listed(id, &format!("{id}-1"))
    };
    let meetings = crowds.iter().map(of).collect();
    ServerSample { watermark, taken_at_ms: 0, meetings, bbb_version: "3.0".into(), term: 0 }
}

fn bench(stored: &[(&str, u32)]) -> FleetBench {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    let sample = crowds(bench.store.revision, stored);
    bench.write(PlanWrite::Sample(sid("a"), sample));
    bench
}

fn judged(bench: &FleetBench, fresh: &ServerSample) -> Option<SampleDifference> {
    difference(&bench.fleet, bench.fleet.server(&sid("a")).expect("stands"), fresh, bench.now.instant)
}

#[test]
fn f6_a_poll_that_saw_the_same_writes_no_value() {
    let bench = bench(&[("m", 40), ("n", 30)]);
    let mut fresh = crowds(9, &[("n", 31), ("m", 39)]);
    fresh.meetings.iter_mut().for_each(|meeting| meeting.age_ms += 3_600_000);
    assert_eq!(judged(&bench, &fresh), None, "order, ages, a user more and a user less");
    let plan = health::poll_ok(&bench.fleet, &sid("a"), fresh.clone(), bench.now);
    assert!(plan.is_empty(), "{plan:?}");
    let asked = health::look_ok(&bench.fleet, &sid("a"), fresh);
    assert!(
        matches!(&asked.writes[..], [PlanWrite::Sample(..)]),
        "whoever asked for the poll sees all of it"
    );
}

/// The table, row by row.
#[test]
fn f6_values_for_placement_records_and_limits_are_written_at_once() {
    let bench = bench(&[("m", 40), ("n", 30)]);
    let base = || crowds(9, &[("m", 40), ("n", 30)]);
    let changed = |change: &dyn Fn(&mut ServerSample)| {
        let mut fresh = base();
        change(&mut fresh);
        judged(&bench, &fresh)
    };
    assert_eq!(changed(&|_| {}), None);
    assert_eq!(changed(&|fresh| drop(fresh.meetings.pop())), Some(SampleDifference::Meetings));
    assert_eq!(changed(&|fresh| fresh.meetings.push(listed("o", "o-1"))), Some(SampleDifference::Meetings));
    assert_eq!(changed(&|fresh| fresh.meetings[0] = listed("m", "m-2")), Some(SampleDifference::Meetings));
    assert_eq!(changed(&|fresh| fresh.meetings[0].max_users = 5), Some(SampleDifference::Meetings));
    assert_eq!(changed(&|fresh| fresh.meetings[0].key = None), Some(SampleDifference::Meetings));
    assert_eq!(changed(&|fresh| fresh.bbb_version = "3.1".into()), Some(SampleDifference::Meetings));
    assert_eq!(changed(&|fresh| fresh.meetings[0].participants += 5), None);
    assert_eq!(changed(&|fresh| fresh.meetings[0].participants += 6), Some(SampleDifference::Load));
    assert_eq!(changed(&|fresh| fresh.meetings[1].participants = 0), Some(SampleDifference::Load));
    let mut unasked = FleetBench::with_servers(Policy::default(), &["a"]);
    unasked.write(PlanWrite::Delete(FleetKey::Sample(sid("a"))));
    assert_eq!(judged(&unasked, &base()), Some(SampleDifference::First));
    unasked.write(PlanWrite::Sample(sid("a"), base()));
    unasked.fleet = unasked.fleet.begun_at(unasked.store.revision);
    assert_eq!(judged(&unasked, &base()), Some(SampleDifference::First), "it was stored in an earlier epoch");
}

#[test]
fn s3_a_meeting_that_grows_out_of_being_young_is_written_as_its_load_changes() {
    let mut bench = bench(&[]);
    let mut young = crowds(9, &[("m", 2)]);
    young.meetings[0].age_ms = 1;
    bench.write(PlanWrite::Sample(sid("a"), young.clone()));
    let mut older = young;
    older.meetings[0].age_ms = 60_000;
    assert_eq!(judged(&bench, &older), None, "it counts its floor still");
    older.meetings[0].age_ms = 3_600_000;
    assert_eq!(judged(&bench, &older), Some(SampleDifference::Load));
}

#[test]
fn a_limit_of_users_is_enforced_by_figures_that_are_one_user_or_one_fiftieth_off_at_most() {
    let mut bench = bench(&[("m", 40), ("n", 160)]);
    let mut tenant = TenantRoute::new(usher_model::id::TenantId::default_tenant());
    tenant.policy.max_users = 500;
    bench.write(PlanWrite::tenant(tenant));
    assert_eq!(judged(&bench, &crowds(9, &[("m", 44), ("n", 160)])), None);
    assert_eq!(judged(&bench, &crowds(9, &[("m", 45), ("n", 160)])), Some(SampleDifference::Limit));
}

#[test]
fn figures_that_people_look_at_are_right_after_a_while() {
    let mut bench = bench(&[("m", 40)]);
    bench.pass(bench.fleet.policy().interval * (LASTING - 1));
    assert_eq!(judged(&bench, &crowds(9, &[("m", 41)])), None);
    bench.pass(bench.fleet.policy().interval);
    assert_eq!(judged(&bench, &crowds(9, &[("m", 41)])), Some(SampleDifference::Lasting));
    assert_eq!(judged(&bench, &crowds(9, &[("m", 40)])), None, "there is nothing to tell");
}

#[test]
fn f11_a_poll_that_ends_a_reservation_is_written_and_one_sent_before_the_confirmation_is_not() {
    let mut bench = bench(&[]);
    bench.write(PlanWrite::Record(crate::core::testkit::key("m"), record("a", "m-1")));
    let reserved = |fleet: &Fleet| fleet.server(&sid("a")).expect("stands").effective_load();
    let before = bench.store.revision - 1;
    bench.pass(Duration::from_secs(9));
    let plan = health::poll_ok(&bench.fleet, &sid("a"), crowds(before, &[]), bench.now);
    assert!(plan.is_empty(), "sent before the confirmation: {plan:?}");
    assert_eq!(reserved(&bench.fleet), 15);
    let at = bench.store.revision;
    assert_eq!(judged(&bench, &crowds(at, &[])), Some(SampleDifference::Reservation));
    let plan = health::poll_ok(&bench.fleet, &sid("a"), crowds(at, &[]), bench.now);
    assert!(bench.commit(&plan));
    assert_eq!(reserved(&bench.fleet), 0, "sent after it, and the meeting is not there");
    assert_eq!(judged(&bench, &crowds(at + 1, &[])), None, "once for each create");
    // A replica that starts now, and lists the entries in any order, has the same view.
    for reversed in [false, true] {
        let mut events = bench.store.listing();
        if reversed {
            events.reverse();
        }
        let mut fleet = Fleet::new(7, Policy::default());
        fleet.apply(bench.store.revision, events, bench.now.instant);
        assert_eq!(reserved(&fleet), 0, "reversed: {reversed}");
    }
}

#[test]
fn f9_a_sample_of_another_leader_or_of_an_earlier_entry_is_written_anew_once() {
    let mut bench = bench(&[("m", 40)]);
    let next = |bench: &FleetBench| ServerSample { term: 12, ..crowds(bench.store.revision, &[("m", 40)]) };
    assert_eq!(judged(&bench, &next(&bench)), Some(SampleDifference::Term));
    let polled = |bench: &mut FleetBench| {
        let plan = health::poll_ok(&bench.fleet, &sid("a"), next(bench), bench.now);
        assert!(bench.commit(&plan));
    };
    polled(&mut bench);
    assert_eq!(judged(&bench, &next(&bench)), None);
    let server = bench.fleet.server(&sid("a")).expect("stands").stored.value.clone();
    bench.write(PlanWrite::server(server));
    assert_eq!(judged(&bench, &next(&bench)), Some(SampleDifference::Entry));
    polled(&mut bench);
    assert_eq!(judged(&bench, &next(&bench)), None);
    // Where the store may hold another sample, a poll is written although it equals the known one.
    let plan = health::poll_ok_in_full(&bench.fleet, &sid("a"), next(&bench), bench.now);
    assert!(matches!(&plan.writes[..], [PlanWrite::Sample(..)]), "{plan:?}");
}

proptest! {
    /// Users come and go poll by poll; the stored sample never differs from the truth by more than its
    /// bound.
    #[test]
    fn f6_a_stored_value_is_never_further_off_than_its_bound(
        start in proptest::collection::vec(0..200_u32, 1..6),
        steps in proptest::collection::vec(proptest::collection::vec(-6_i64..7, 6), 1..40),
        min_users in 0..40_u32,
    ) {
        let placement = PlacementSettings { min_users, ..PlacementSettings::default() };
        let mut bench = FleetBench::with_servers(Policy { placement, ..Policy::default() }, &["a"]);
        let mut users = start;
        let (mut full, mut polls) = (0, 0);
        for step in steps {
            for (users, change) in users.iter_mut().zip(step) {
                *users = users.saturating_add_signed(change as i32);
            }
            let names: Vec<String> = (0..users.len()).map(|number| format!("m{number}")).collect();
            let all: Vec<(&str, u32)> = names.iter().map(String::as_str).zip(users.iter().copied()).collect();
            let fresh = crowds(bench.store.revision, &all);
            let plan: Plan = health::poll_ok(&bench.fleet, &sid("a"), fresh, bench.now);
            full += usize::from(plan.writes.iter().any(|write| matches!(write, PlanWrite::Sample(..))));
            polls += 1;
            prop_assert!(bench.commit(&plan));
            let stored = bench.fleet.server(&sid("a")).expect("stands").effective_load();
            let truth: u64 = users.iter().map(|users| u64::from(*users)).sum();
            let bound = (u64::from(min_users) / 3).max(stored / 50).max(1);
            prop_assert!(stored.abs_diff(truth) <= bound, "{stored} stored, {truth} there");
            bench.pass(Duration::from_secs(10));
        }
        prop_assert!(full <= polls);
    }
}
