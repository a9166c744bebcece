//! A server with fifty meetings becomes offline and returns, tested on plans (H2, H5, H6, F5).

use std::collections::BTreeMap;

use usher_model::id::ServerId;

use super::*;
use crate::core::{
    health::{FailureSuspicion, poll_failed, poll_ok},
    reconcile,
};

const MEETINGS: usize = 50;

fn names() -> Vec<String> {
    (0..MEETINGS).map(|n| format!("m{n:02}")).collect()
}

/// Returns a fleet of twenty servers; fifty meetings run on the first one.
fn fleet() -> FleetBench {
    let ids: Vec<String> = (0..20).map(|n| format!("s{n:02}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut bench = FleetBench::with_servers(Policy::default(), &ids);
    for name in names() {
        let internal_id = iid(&format!("{name}-1"));
        let answer =
            CreateAnswer { server: sid("s00"), token: None, internal_id, create_time_ms: 1, breakout: false };
        let step = confirm(&bench.fleet, &key(&name), &answer, 0);
        assert!(bench.commit(&step.plan));
    }
    bench
}

fn fail_poll(bench: &mut FleetBench) -> usize {
    bench.pass(std::time::Duration::from_secs(10));
    let plan = poll_failed(&bench.fleet, &sid("s00"), FailureSuspicion::None, "timeout", bench.now.wall_ms);
    assert!(bench.commit(&plan));
    plan.writes.len()
}

fn die(bench: &mut FleetBench) {
    for _ in 0..6 {
        assert_eq!(fail_poll(bench), 1, "also the last one, which detaches fifty meetings");
    }
    assert_eq!(bench.fleet.server(&sid("s00")).unwrap().health(), Health::Offline);
}

fn create(bench: &mut FleetBench, name: &str) -> Result<ServerId, NoServer> {
    let request = CreateRequest { placement: to_place(name), ..request(name) };
    let step = place(&bench.fleet, &InflightPlacements::default(), &request, bench.now)?;
    let PlacementOutcome::New { record, .. } = step.outcome else { panic!("{name} is detached") };
    assert!(bench.commit(&step.plan));
    Ok(record.server)
}

fn confirm_at(bench: &mut FleetBench, name: &str, server: &ServerId) {
    let internal_id = iid(&format!("{name}-2"));
    let answer = CreateAnswer {
        server: server.clone(),
        token: Some(name.into()),
        internal_id,
        create_time_ms: 2,
        breakout: false,
    };
    let step = confirm(&bench.fleet, &key(name), &answer, bench.now.wall_ms);
    assert!(step.outcome && bench.commit(&step.plan));
}

/// Applies a good poll of the server that was offline; the meetings in `gone` have ended since.
/// Returns the number of committed plans and the ended instances.
fn good_poll(bench: &mut FleetBench, gone: &[String]) -> (usize, Vec<String>) {
    bench.pass(std::time::Duration::from_secs(10));
    let left: Vec<String> = names().into_iter().filter(|name| !gone.contains(name)).collect();
    let pairs: Vec<(String, String)> = left.iter().map(|name| (name.clone(), format!("{name}-1"))).collect();
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(name, id)| (name.as_str(), id.as_str())).collect();
    let sample = sample(bench.store.revision, &pairs);
    let plan = poll_ok(&bench.fleet, &sid("s00"), sample.clone(), bench.now);
    assert!(bench.commit(&plan));
    let work = reconcile::on_sample(&bench.fleet, &sid("s00"), &sample, bench.now.instant, bench.now);
    assert!(work.verify.is_empty());
    for plan in &work.plans {
        assert!(bench.commit(plan));
    }
    for end in &work.ends {
        assert!(end.mark.is_empty() || bench.commit(&end.mark));
    }
    (work.plans.len(), work.ends.iter().map(|end| end.internal_id.to_string()).collect())
}

#[test]
fn f5_the_storm_of_creates_after_a_loss_is_spread_over_all_servers() {
    let mut bench = fleet();
    die(&mut bench);
    let mut placed: BTreeMap<ServerId, usize> = BTreeMap::new();
    for name in names() {
        *placed.entry(create(&mut bench, &name).unwrap()).or_default() += 1;
    }
    assert_eq!(placed.len(), 19);
    assert!(placed.values().all(|count| *count <= MEETINGS.div_ceil(19) + 2), "{placed:?}");
    assert_eq!(bench.fleet.zombie_count_on(&sid("s00")), MEETINGS);
}

#[test]
fn h6_of_fifty_those_that_were_created_again_are_ended_by_the_first_poll_and_no_other_ever() {
    let mut bench = fleet();
    die(&mut bench);
    let (again, stays) = (names()[..20].to_vec(), names()[20..].to_vec());
    for name in &again {
        let server = create(&mut bench, name).unwrap();
        confirm_at(&mut bench, name, &server);
    }
    let (_, mut ended) = good_poll(&mut bench, &[]);
    ended.sort();
    assert_eq!(ended, again.iter().map(|name| format!("{name}-1")).collect::<Vec<_>>());
    assert_eq!(bench.fleet.server(&sid("s00")).unwrap().health(), Health::Offline, "still offline");
    for _ in 0..3 {
        assert_eq!(good_poll(&mut bench, &again).1, Vec::<String>::new());
    }
    assert_eq!(bench.fleet.zombies().len(), 0);
    for name in &stays {
        let record = &bench.fleet.record(&key(name)).unwrap().value;
        assert_eq!(
            (record.server.as_str(), record.state.internal_id()),
            ("s00", Some(&iid(&format!("{name}-1"))))
        );
    }
}

#[test]
fn h6_restoring_fifty_meetings_writes_only_the_counters() {
    let mut bench = fleet();
    die(&mut bench);
    let records = |bench: &FleetBench| {
        let all = names().into_iter().map(|name| bench.fleet.record(&key(&name)).cloned());
        all.collect::<Vec<_>>()
    };
    let before = records(&bench);
    for _ in 0..3 {
        assert_eq!(good_poll(&mut bench, &[]), (0, Vec::new()));
    }
    assert_eq!(bench.fleet.server(&sid("s00")).unwrap().health(), Health::Online);
    assert_eq!(records(&bench), before);
}
