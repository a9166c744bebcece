use usher_model::server::{SampledMeeting, ServerSample};

use super::*;
use crate::core::{
    plan::PlanWrite,
    policy::Policy,
    testkit::{FleetBench, listed, sample, server, sid},
};

/// Lets old meetings of these sizes run on a server.
fn run(bench: &mut FleetBench, id: &str, sizes: &[u32]) {
    let meetings = sizes.iter().enumerate().map(|(number, users)| {
        let name = format!("{id}{number}");
        SampledMeeting { participants: *users, ..listed(&name, &format!("{name}-1")) }
    });
    let sample = ServerSample { meetings: meetings.collect(), ..sample(bench.store.revision, &[]) };
    bench.write(PlanWrite::Sample(sid(id), sample));
}

fn bench() -> FleetBench {
    FleetBench::with_servers(Policy::default(), &["a", "b", "c", "d"])
}

#[test]
fn f10_imbalance_is_the_largest_load_per_weight_over_the_mean() {
    let mut bench = bench();
    assert_eq!(imbalance(&bench.fleet), 0.0);
    for (id, users) in [("a", 60), ("b", 20), ("c", 20), ("d", 20)] {
        run(&mut bench, id, &[users]);
    }
    assert_eq!(imbalance(&bench.fleet), 2.0);
    let heavy = usher_model::server::Server { weight: 3.0, ..server("a") };
    bench.write(PlanWrite::server(heavy));
    assert_eq!(imbalance(&bench.fleet), 1.0, "a bigger server carries more");
    bench.offline("b");
    run(&mut bench, "b", &[900]);
    assert_eq!(imbalance(&bench.fleet), 1.0, "what takes no meetings does not count");
}

#[test]
fn f10_an_imbalance_above_the_limit_is_worth_an_alarm_after_five_minutes() {
    let (mut bench, mut uneven) = (bench(), LoadUnevenness::default());
    run(&mut bench, "a", &[30, 30, 30]);
    run(&mut bench, "b", &[20]);
    let start = bench.now.instant;
    let mut at =
        |bench: &FleetBench, seconds| uneven.lasting(&bench.fleet, start + Duration::from_secs(seconds));
    assert_eq!(at(&bench, 0), None);
    assert_eq!(at(&bench, 299), None);
    assert_eq!(at(&bench, 300), Some(90.0 / 27.5));
    for id in ["b", "c", "d"] {
        run(&mut bench, id, &[30, 30]);
    }
    assert_eq!(at(&bench, 301), None);
    run(&mut bench, "a", &[30; 9]);
    assert_eq!(at(&bench, 302), None, "a new incident, a new five minutes");
    assert!(at(&bench, 602).is_some());
}

#[test]
fn f10_one_meeting_however_large_is_no_imbalance_that_anybody_could_mend() {
    for sizes in [&[15][..], &[400, 5], &[15, 15]] {
        let (mut bench, mut uneven) = (bench(), LoadUnevenness::default());
        run(&mut bench, "a", sizes);
        run(&mut bench, "b", &[15]);
        let now = bench.now.instant;
        assert!(imbalance(&bench.fleet) > UNEVEN);
        uneven.lasting(&bench.fleet, now);
        assert_eq!(uneven.lasting(&bench.fleet, now + LASTING), None, "{sizes:?}");
    }
}
