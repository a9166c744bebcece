//! Each guard of the protocol earns its place: without it the search finds a violation.

use usher_model::settings::ZombiePolicy;

use crate::{
    BASE, CALM, LATE_PANIC,
    bounds::{Bounds, Second},
    cluster::Cluster,
    holds_without,
    search::{Found, search},
    weak::{Guard, Weak},
};

const BEHIND: Bounds = Bounds { second: Second::Behind, faults: 1, ..CALM };
const DEPOSED: Bounds = Bounds { second: Second::Deposed, ..CALM };

/// Expects a violation that begins with `fault`.
fn breaks(bounds: Bounds, guards: &[Guard], fault: &str) {
    match search(&Cluster::new(bounds, Weak::without(guards))) {
        Found::Violation(trace) => {
            let text = trace.to_string();
            assert!(text.starts_with(fault), "another violation than {fault}: {text}");
        }
        other => panic!("without {guards:?} nothing breaks: {other:?}"),
    }
}

#[test]
fn h11_without_the_watermark_a_live_meeting_is_reaped() {
    breaks(BASE, &[Guard::Watermark], "I4");
}

#[test]
fn h8_without_the_internal_id_a_late_end_hits_a_newer_instance() {
    breaks(BASE, &[Guard::InternalId], "I2, I3");
}

#[test]
fn i2_without_the_ended_instance_a_late_report_takes_a_newer_meeting_out() {
    breaks(Bounds { creates: 3, app_ends: 1, reliable: true, ..CALM }, &[Guard::Named], "I2, I3");
}

/// A record that never was confirmed returns to the instance that it had superseded at once, and a poll
/// restores that instance once its server is online: either guard alone suffices.
#[test]
fn h13_without_return_and_restoration_a_superseded_meeting_is_never_routed_again() {
    breaks(BASE, &[Guard::Returns, Guard::Restore], "I4");
    let small = Bounds { own_ends: 0, ..BASE };
    holds_without(&[Guard::Returns], small, BASE);
    holds_without(&[Guard::Restore], small, BASE);
}

#[test]
fn h6_without_looking_for_unknown_instances_a_late_request_leaks() {
    breaks(BASE, &[Guard::UnknownButOurs], "I4");
}

#[test]
fn a5_without_comparing_create_times_a_late_answer_replaces_a_newer_instance() {
    breaks(BASE, &[Guard::NewerCreateTime], "I4");
}

#[test]
fn h8_without_waiting_for_its_replacement_a_meeting_is_ended_in_vain() {
    breaks(BASE, &[Guard::ConfirmFirst], "I2, I3");
}

#[test]
fn i2_without_keeping_clear_of_zombies_an_id_is_placed_beside_one() {
    breaks(BASE, &[Guard::Zombie], "I2");
}

#[test]
fn i7_without_guarding_the_choice_a_meeting_is_placed_on_an_offline_server() {
    breaks(BEHIND, &[Guard::Choice], "I7");
}

#[test]
fn i7_without_guards_of_the_seen_values_a_replica_that_is_behind_undoes_newer_writes() {
    breaks(BEHIND, &[Guard::Seen], "I2");
}

/// The fence is masked: the values that a deposed leader saw have changed by the time that it could do
/// harm, so that its plans are refused for that reason, too. Without both guards its writes succeed.
#[test]
fn x3_without_fence_and_guards_a_deposed_leader_undoes_its_successors_writes() {
    breaks(DEPOSED, &[Guard::Fence, Guard::SeenByLeader], "I4");
    let small = Bounds { creates: 1, own_ends: 1, ..DEPOSED };
    holds_without(&[Guard::Fence], small, DEPOSED);
    holds_without(&[Guard::SeenByLeader], small, DEPOSED);
}

#[test]
fn x3_without_the_mark_a_deposed_leader_ends_a_meeting_that_was_placed_since() {
    breaks(DEPOSED, &[Guard::MarkFirst], "I2, I3");
}

#[test]
fn a8_without_waiting_for_online_a_superseded_meeting_routes_to_a_server_that_does_not_answer() {
    let slow = Bounds { healthy_threshold: 2, unhealthy_threshold: 2, supersedes: 1, ..BASE };
    breaks(slow, &[Guard::Green], "A8");
}

#[test]
fn a8_without_looking_whether_it_was_away_zombie_policy_end_ends_what_runs() {
    breaks(Bounds { zombie_policy: ZombiePolicy::End, ..CALM }, &[Guard::Returned], "I2, I3");
}

#[test]
fn i2_without_looking_for_our_mark_a_meeting_of_another_balancer_is_ended() {
    breaks(Bounds { foreign: 2, ..CALM }, &[Guard::Mark], "I2, I3");
}

#[test]
fn s6_without_the_arrival_guard_a_drained_server_takes_a_live_meeting_with_it() {
    let behind = Bounds { cordons: 1, own_ends: 1, second: Second::Behind, ..CALM };
    breaks(behind, &[Guard::Arrival], "I2, I3");
}

#[test]
fn h15_without_dropping_waiting_zombies_a_superseded_meeting_stays_on_a_disabled_server() {
    let panic = Bounds { panics: 1, ..BASE };
    breaks(panic, &[Guard::GivenUp], "I4");
}

#[test]
fn a5_without_zombie_ttl_the_meetings_of_an_unreachable_server_are_dropped() {
    breaks(Bounds { sweeps: 1, ..BASE }, &[Guard::Ttl], "I4");
}

#[test]
fn h15_without_minding_the_server_a_late_panic_takes_the_meetings_of_one_that_is_enabled_again() {
    breaks(LATE_PANIC, &[Guard::Disabled], "I");
}

#[test]
fn i2_without_asking_the_records_server_an_alias_ends_a_meeting_that_was_created_anew() {
    breaks(Bounds { aliased: true, reliable: true, ..BASE }, &[Guard::Asked], "I2");
}
