//! Ages: `zombie_ttl`, and records and zombies of servers that were removed.

use super::*;

#[test]
fn entries_too_old_or_without_a_server_are_swept_away() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Due, Some("m-1"));
    assert_eq!(sweep(&bench.fleet, MissingServer::Removed, bench.now), SweepPlan::default());
    bench.pass(Duration::from_hours(25));
    let work = sweep(&bench.fleet, MissingServer::Removed, bench.now);
    assert_eq!((work.abandoned.len(), work.plans.len()), (1, 0));
    assert!(bench.commit(&work.abandoned[0]));
    assert_eq!(zombie(&bench), None);
    write_record(&mut bench, "a", Some("m-1"));
    bench.write(PlanWrite::server(Server { admin: AdminState::Disabled, ..server("a") }));
    for plan in sweep(&bench.fleet, MissingServer::Removed, bench.now).plans {
        assert!(bench.commit(&plan));
    }
    assert_eq!(
        (instance(&bench), zombie(&bench)),
        (None, Some(ZombieState::Due)),
        "the sweep continues the panic"
    );
}

#[test]
fn i10_records_on_an_awaited_server_are_kept() {
    let mut bench = bench();
    write_record(&mut bench, "gone", Some("m-1"));
    let zombie_key = ZombieKey { meeting: key("n"), server: sid("gone") };
    let zombie = Zombie {
        state: ZombieState::Due,
        internal_id: None,
        reason: String::new(),
        since_ms: 0,
        stood_ms: 0,
    };
    bench.write(PlanWrite::Zombie(zombie_key, zombie));
    assert_eq!(sweep(&bench.fleet, MissingServer::Awaited, bench.now), SweepPlan::default());
    let work = sweep(&bench.fleet, MissingServer::Removed, bench.now);
    assert_eq!((work.plans.len(), work.abandoned.len()), (1, 1));
}

/// Lets `hours` pass on the leader, with a committed sweep every five minutes; returns the number
/// of abandoned entries and of other writes.
fn sweep_for(bench: &mut FleetBench, hours: u64) -> (usize, usize) {
    let (mut abandoned, mut writes) = (0, 0);
    for _ in 0..hours * 12 {
        bench.pass(Duration::from_mins(5));
        let work = sweep(&bench.fleet, MissingServer::Removed, bench.now);
        abandoned += work.abandoned.len();
        writes += work.plans.len();
        for plan in work.plans.iter().chain(&work.abandoned) {
            assert!(bench.commit(plan));
        }
    }
    (abandoned, writes)
}

/// Replaces the fleet by one that is read from the store alone, as after a restart.
fn restart(bench: &mut FleetBench) {
    bench.fleet = Fleet::new(7, bench.fleet.policy().clone());
    bench.fleet.apply(bench.store.revision, bench.store.listing(), bench.now.instant);
}

#[test]
fn a5_zombie_ttl_outlives_restarts_and_no_clock_that_jumps_cuts_it_short() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Due, Some("m-1"));
    bench.offline("b");
    let elsewhere = |bench: &mut FleetBench| {
        write_record(bench, "b", Some("m-2"));
        restart(bench);
    };
    elsewhere(&mut bench);
    bench.now.wall_ms += 30 * 86_400_000; // an operator set the clock
    assert_eq!(sweep(&bench.fleet, MissingServer::Removed, bench.now), SweepPlan::default());
    let (abandoned, writes) = sweep_for(&mut bench, 20);
    assert!(abandoned == 0 && (30..=40).contains(&writes), "one write per hour and entry: {writes}");
    restart(&mut bench);
    bench.now.wall_ms -= 90 * 86_400_000;
    assert_eq!(sweep_for(&mut bench, 2).0, 0);
    assert_eq!(sweep_for(&mut bench, 3).0, 2, "both after a day, within an hour per restart");
    assert_eq!((instance(&bench), zombie(&bench)), (None, None));
}

#[test]
fn a5_the_ttl_begins_anew_when_a_server_was_online_in_between() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    for turn in 0..3 {
        let since_ms = bench.now.wall_ms + turn;
        let unhealthy = bench.fleet.policy().unhealthy_threshold;
        bench.write(PlanWrite::Health(sid("a"), HealthRecord { since_ms, ..health(0, unhealthy) }));
        assert_eq!(sweep_for(&mut bench, 20).0, 0);
        let recovering = bench.fleet.server(&sid("a")).unwrap().health_record.clone().unwrap().value;
        let mut good = Some(recovering);
        while crate::core::health::health_of(good.as_ref(), bench.fleet.policy()) != Health::Online {
            good = crate::core::health::on_poll_ok(good.as_ref(), bench.fleet.policy(), bench.now.wall_ms);
        }
        assert_eq!(good.as_ref().map(|record| record.stood_ms), Some(0));
        bench.write(PlanWrite::Health(sid("a"), good.unwrap()));
    }
    assert!(instance(&bench).is_some());
}
