//! Every interleaving of a small cluster: one id, two servers, two creates (requirements A5).
//!
//! The transitions are the project's own pure functions, `core::lifecycle`, `core::reconcile` and
//! `core::health`. The model adds their environment: a store that decides plans by their guards,
//! servers, and a network that delays and loses requests, answers, polls and `end` calls. A search
//! visits every state within the bounds and checks I2 to I7 on each step. Wherever no edge waits for an
//! answer, it also checks that a cluster without further disturbance comes to rest with no meeting
//! leaked, split or lost. I1 needs no check: an id has one key. [`guards`] removes each guard of the
//! protocol and expects a violation.
//!
//! `USHER_MODEL_STATES=50000000` searches larger configurations, up to that many states each.

mod bounds;
mod canonical;
mod cluster;
mod core_calls;
mod facts;
mod guards;
mod request_ids;
mod search;
mod state;
mod transaction;
mod weak;

use usher_model::settings::ZombiePolicy;

use bounds::{Bounds, Second};
use cluster::Cluster;
use search::{Found, search};
use weak::{Guard, Weak};

/// Searches `small`, or `large` on request, and expects no violation.
fn holds(small: Bounds, large: Bounds) {
    holds_without(&[], small, large);
}

fn holds_without(guards: &[Guard], small: Bounds, large: Bounds) {
    let most = std::env::var("USHER_MODEL_STATES").ok().map(|text| text.parse().expect("a number"));
    let bounds = most.map_or(small, |most_states| Bounds { most_states, ..large });
    match search(&Cluster::new(bounds, Weak::without(guards))) {
        Found::Nothing { states, at_rest } => {
            assert!(states > 10_000 && at_rest > 10, "{states} states, {at_rest} at rest, mean little");
        }
        Found::Violation(trace) => panic!("{trace}"),
        Found::TooMany => assert!(most.is_some(), "more than {} states", bounds.most_states),
    }
}

const BASE: Bounds = Bounds::BASE;
/// Only creates and polls.
const CALM: Bounds = Bounds { faults: 0, own_ends: 0, ..BASE };

#[test]
fn h6_h8_h11_h13_two_creates_while_a_server_becomes_offline_and_meetings_end() {
    holds(BASE, Bounds { faults: 2, ..BASE });
}

#[test]
fn h4_supersede_of_a_meeting_on_an_unhealthy_server() {
    let unhealthy = Bounds { supersedes: 1, own_ends: 0, unhealthy_threshold: 2, ..BASE };
    holds(unhealthy, Bounds { faults: 2, own_ends: 1, ..unhealthy });
}

#[test]
fn a5_an_application_ends_the_meeting() {
    let ends = Bounds { app_ends: 1, ..CALM };
    holds(ends, Bounds { faults: 1, ..ends });
}

#[test]
fn h15_panic_while_creates_are_under_way() {
    let panic = Bounds { panics: 1, ..CALM };
    holds(panic, Bounds { panics: 2, faults: 1, ..panic });
}

#[test]
fn a5_zombie_ttl_gives_up_what_is_away() {
    let sweeps = Bounds { sweeps: 1, own_ends: 0, reliable: true, ..BASE };
    holds(sweeps, Bounds { sweeps: 2, reliable: false, ..sweeps });
}

#[test]
fn a5_polls_adopt_what_a_lost_store_forgot() {
    let wipes = Bounds { wipes: 1, own_ends: 0, ..BASE };
    holds(wipes, Bounds { own_ends: 1, ..wipes });
}

#[test]
fn i7_edges_served_by_a_replica_that_is_behind() {
    let behind = Bounds { second: Second::Behind, ..CALM };
    holds(behind, Bounds { faults: 1, own_ends: 1, ..behind });
}

#[test]
fn x3_a_leader_that_was_deposed_while_it_stood_still() {
    let deposed = Bounds { second: Second::Deposed, creates: 1, own_ends: 1, ..CALM };
    holds(deposed, Bounds { creates: 2, faults: 1, ..deposed });
}

/// `zombie_policy = end`: the meetings that an offline server still runs are ended when it answers.
#[test]
fn a8_zombie_policy_end_ends_what_returns_and_nothing_else() {
    let end = Bounds { zombie_policy: ZombiePolicy::End, own_ends: 0, ..BASE };
    holds(end, Bounds { own_ends: 1, faults: 2, ..end });
}

#[test]
fn i2_meetings_of_another_balancer_are_adopted_and_never_ended_for_another() {
    let foreign = Bounds { foreign: 2, own_ends: 0, ..BASE };
    holds(foreign, Bounds { own_ends: 1, ..foreign });
}

/// One server under two entries. A fault may make either entry offline while the other goes on. If no
/// request fails and no answer is lost, not even an instance that no client has heard of yet may be
/// ended, because users may be in it.
#[test]
fn i2_a_server_that_is_listed_twice_loses_no_meeting() {
    let twice = Bounds { aliased: true, ..BASE };
    holds(twice, Bounds { faults: 2, ..twice });
    let reliable = Bounds { reliable: true, ..twice };
    holds(reliable, Bounds { faults: 2, ..reliable });
}

#[test]
fn i2_a_server_that_is_listed_twice_while_an_application_ends_the_meeting() {
    let ends = Bounds { aliased: true, app_ends: 1, own_ends: 0, reliable: true, ..BASE };
    holds(ends, Bounds { own_ends: 1, reliable: false, ..ends });
}

#[test]
fn i2_a_server_that_is_listed_twice_while_an_operator_supersedes() {
    let supersedes = Bounds {
        aliased: true,
        supersedes: 1,
        own_ends: 0,
        healthy_threshold: 2,
        unhealthy_threshold: 2,
        reliable: true,
        ..BASE
    };
    holds(supersedes, Bounds { own_ends: 1, faults: 2, ..supersedes });
}

#[test]
fn h15_panic_of_one_entry_of_a_server_that_is_listed_twice() {
    let panic = Bounds { aliased: true, panics: 1, ..CALM };
    holds(panic, Bounds { own_ends: 1, faults: 1, ..panic });
}

#[test]
fn f7_polls_adopt_a_meeting_of_a_server_that_is_listed_twice_once() {
    let wipes = Bounds { aliased: true, wipes: 1, own_ends: 0, ..BASE };
    holds(wipes, Bounds { own_ends: 1, ..wipes });
}

#[test]
fn i2_meetings_of_another_balancer_on_a_server_that_is_listed_twice() {
    let foreign = Bounds { aliased: true, foreign: 1, own_ends: 0, ..BASE };
    holds(foreign, Bounds { own_ends: 1, ..foreign });
}

#[test]
fn x3_a_deposed_leader_and_a_server_that_is_listed_twice() {
    let deposed = Bounds { aliased: true, second: Second::Deposed, creates: 1, own_ends: 1, ..CALM };
    holds(deposed, Bounds { creates: 2, faults: 1, ..deposed });
}

#[test]
fn i2_meetings_of_another_balancer_that_an_operator_names_are_never_ended_for_another() {
    let named = Bounds { foreign: 2, adopts: 1, own_ends: 0, ..BASE };
    holds(named, Bounds { adopts: 2, own_ends: 1, ..named });
}

#[test]
fn s6_a_server_is_drained_while_an_operator_names_its_meetings() {
    let drain = Bounds { foreign: 1, adopts: 1, cordons: 1, creates: 1, ..CALM };
    holds(drain, Bounds { creates: 2, own_ends: 1, ..drain });
}

#[test]
fn a8_a_superseded_meeting_routes_again_only_when_its_server_is_online() {
    let slow = Bounds { healthy_threshold: 2, unhealthy_threshold: 2, supersedes: 1, reliable: true, ..BASE };
    holds(slow, Bounds { faults: 2, reliable: false, ..slow });
}

#[test]
fn s6_a_server_is_drained_while_creates_are_under_way() {
    let drain = Bounds { cordons: 1, ..CALM };
    holds(drain, Bounds { cordons: 2, own_ends: 1, ..drain });
}

#[test]
fn s6_an_operator_disables_by_a_replica_that_is_behind() {
    let behind =
        Bounds { cordons: 1, creates: 1, own_ends: 1, reliable: true, second: Second::Behind, ..CALM };
    holds(behind, Bounds { own_ends: 1, ..behind });
}

/// A panic is carried on by a replica that is behind, while its server is enabled again and gets meetings.
const LATE_PANIC: Bounds = Bounds { panics: 1, reliable: true, second: Second::Behind, ..CALM };

#[test]
fn h15_a_panic_that_is_carried_on_late() {
    holds(LATE_PANIC, Bounds { own_ends: 1, ..LATE_PANIC });
}

#[test]
fn h15_panic_of_a_server_that_became_offline_and_returns() {
    let panic = Bounds { panics: 1, creates: 1, ..BASE };
    holds(panic, Bounds { creates: 2, own_ends: 1, ..panic });
}

#[test]
fn x3_two_leaders_at_once_and_two_creates() {
    let deposed = Bounds { second: Second::Deposed, reliable: true, own_ends: 1, ..CALM };
    holds(deposed, Bounds { reliable: false, ..deposed });
}
