//! Creates whose meetings a poll lists before the server answers them (F5).

use super::*;
use crate::core::{placement::choose, reconcile::on_sample};

/// The internal id of meeting `id` in its first instance.
fn first(id: &str) -> String {
    format!("{id}-1")
}

/// Places that many meetings on server `a`, the only one, none of which is confirmed.
fn placed(bench: &mut FleetBench, meetings: usize) {
    for number in 0..meetings {
        let id = format!("m{number}");
        let request = CreateRequest { placement: to_place(&id), token: token(number), ..request("") };
        put(bench, &request).expect("has a server");
    }
}

fn token(number: usize) -> String {
    format!("token-{number}")
}

/// Polls server `a`, which lists that many of the meetings although it has answered no create.
fn poll(bench: &mut FleetBench, meetings: usize) {
    let listed: Vec<(String, String)> =
        (0..meetings).map(|n| (format!("m{n}"), first(&format!("m{n}")))).collect();
    let listed: Vec<(&str, &str)> = listed.iter().map(|(id, instance)| (&**id, &**instance)).collect();
    let sample = sample(bench.store.revision, &listed);
    let work = on_sample(&bench.fleet, &sid("a"), &sample, bench.now.instant, bench.now);
    for plan in &work.plans {
        assert!(bench.commit(plan));
    }
    bench.write(PlanWrite::Sample(sid("a"), sample));
}

fn choice(bench: &FleetBench) -> Result<ServerId, NoServer> {
    choose(&bench.fleet, &InflightPlacements::default(), &to_place("next"), bench.now)
        .map(|choice| choice.server)
}

fn full() -> FleetBench {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a"]);
    placed(&mut bench, 8);
    poll(&mut bench, 8);
    let confirmed = |n: usize| {
        bench
            .fleet
            .record(&key(&format!("m{n}")))
            .is_some_and(|stored| matches!(stored.value.state, RecordState::Active { .. }))
    };
    assert!((0..8).all(confirmed), "the meetings run, and are routed");
    bench
}

/// Eight creates hung, a poll listed their meetings, and eight more were sent to the same server.
#[test]
fn f5_a_poll_that_lists_a_meeting_frees_no_place_while_its_create_hangs() {
    let bench = full();
    assert_eq!(
        bench.fleet.server(&sid("a")).map(|server| (server.pending(), server.unanswered())),
        Some((0, 8))
    );
    assert_eq!(choice(&bench), Err(NoServer::Saturated));
}

#[test]
fn f5_the_answer_to_a_create_frees_its_place_and_no_other_answer_does() {
    let mut bench = full();
    let confirm_as = |bench: &mut FleetBench, token: Option<&str>| {
        let step = confirm(&bench.fleet, &key("m3"), &answer("a", token, &first("m3")), bench.now.wall_ms);
        assert!(step.outcome && bench.commit(&step.plan));
    };
    confirm_as(&mut bench, None);
    confirm_as(&mut bench, Some("another"));
    assert_eq!(choice(&bench), Err(NoServer::Saturated), "the answer to a forwarded create");
    confirm_as(&mut bench, Some(&token(3)));
    assert_eq!(choice(&bench), Ok(sid("a")));
    let again = confirm(&bench.fleet, &key("m3"), &answer("a", Some(&token(3)), &first("m3")), 0);
    assert!(again.plan.is_empty(), "it is noted once");
}

#[test]
fn f5_a_create_that_is_over_without_an_answer_frees_its_place_and_its_meeting_stays() {
    for certainty in [CreateCertainty::Definite, CreateCertainty::Unknown] {
        let mut bench = full();
        let stray = abandon(&bench.fleet, &key("m3"), &sid("a"), "another", certainty, bench.now.wall_ms);
        assert!(stray.plan.is_empty());
        let step = abandon(&bench.fleet, &key("m3"), &sid("a"), &token(3), certainty, bench.now.wall_ms);
        assert!(step.outcome && bench.commit(&step.plan));
        assert!(bench.fleet.record(&key("m3")).is_some_and(|stored| stored.value.runs(&iid(&first("m3")))));
        assert!(bench.fleet.zombie(&zkey("m3", "a")).is_none(), "the instance of a record is no zombie");
        assert_eq!(choice(&bench), Ok(sid("a")));
    }
}

#[test]
fn f5_a_create_whose_edge_died_frees_its_place_at_its_deadline() {
    let mut bench = full();
    let timeout = bench.fleet.policy().create_timeout;
    bench.pass(timeout / 2);
    poll(&mut bench, 8);
    assert_eq!(choice(&bench), Err(NoServer::Saturated));
    bench.pass(timeout);
    poll(&mut bench, 8);
    assert_eq!(choice(&bench), Ok(sid("a")));
}
