//! Choices that the fleet does not show yet.

use super::*;

#[test]
fn a_choice_costs_the_same_however_many_are_under_way() {
    let compared_with = |under_way: usize| {
        let mut bench = bench(2);
        let mut inflight = InflightPlacements::default();
        for number in 0..under_way {
            inflight.begin(&format!("waits-{number}"), key(&format!("waits-{number}")), sid("s01"), 15);
        }
        inflight.see(&bench.fleet);
        inflight.compared = 0;
        for number in 0..100 {
            let request = request(&format!("m{number}"));
            let step = place(&bench.fleet, &inflight, &request, bench.now).unwrap();
            let PlacementOutcome::New { record, .. } = step.outcome else { panic!("it is new") };
            inflight.begin(&request.token, request.placement.key.clone(), record.server.clone(), 15);
            assert!(bench.commit(&step.plan));
            inflight.see(&bench.fleet);
            inflight.end(&request.token);
        }
        assert_eq!(inflight.len(), under_way);
        assert_eq!(inflight.waiting_on(&sid("s01")).creates as usize, under_way);
        inflight.compared
    };
    assert_eq!(compared_with(1), compared_with(4096));
}

#[test]
fn choices_are_compared_with_another_fleet_as_a_whole() {
    let mut bench = bench(2);
    let request = request("m");
    let step = place(&bench.fleet, &InflightPlacements::default(), &request, bench.now).unwrap();
    let PlacementOutcome::New { record, .. } = step.outcome else { panic!("it is new") };
    let mut inflight = InflightPlacements::default();
    inflight.begin(&request.token, key("m"), record.server.clone(), 15);
    inflight.begin("other", key("n"), record.server.clone(), 15);
    inflight.see(&bench.fleet);
    assert!(bench.commit(&step.plan));
    // The store was read anew, as after another epoch began.
    let mut anew = Fleet::new(8, Policy::default()).followed_from(bench.store.revision);
    anew.apply(bench.store.revision, bench.store.listing(), bench.now.instant);
    inflight.see(&anew);
    assert_eq!(inflight.waiting_on(&record.server).creates, 1, "the store shows one of the two");
}
