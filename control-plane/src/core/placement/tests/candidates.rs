//! The index of candidates leads to the choice of a walk over all servers.

use proptest::prelude::*;
use usher_model::{
    meeting::{Zombie, ZombieState},
    server::Server,
};

use super::*;
use crate::core::{
    placement::{candidates::CandidateOrder, choice::choose_by},
    testkit::{health, record, server, zkey},
};

/// One server of a random fleet.
#[derive(Debug, Clone)]
struct RandomServer {
    users: u32,
    weight: f64,
    errors: u32,
    admin: AdminState,
    tagged: bool,
    suspects: usize,
    records: usize,
    /// Seconds after the first poll of the fleet at which the server was polled.
    polled_after: u64,
}

fn random_server() -> impl Strategy<Value = RandomServer> {
    let admin = prop_oneof![
        6 => Just(AdminState::Enabled),
        1 => Just(AdminState::Cordoned),
        1 => Just(AdminState::Disabled),
    ];
    let errors = prop_oneof![5 => Just(0_u32), 1 => Just(1), 1 => Just(99)];
    let weight = prop::sample::select(vec![0.5, 1.0, 1.0, 1.0, 2.0, 0.3]);
    (0_u32..60, weight, errors, admin, prop::bool::weighted(0.1), 0_usize..2, 0_usize..4, 0_u64..90).prop_map(
        |(users, weight, errors, admin, tagged, suspects, records, polled_after)| RandomServer {
            users,
            weight,
            errors,
            admin,
            tagged,
            suspects,
            records,
            polled_after,
        },
    )
}

fn fleet_of(servers: &[RandomServer], most: u32) -> FleetBench {
    let mut policy = Policy::default();
    policy.placement.max_inflight_creates = most;
    policy.placement.slow_start = Duration::from_mins(1);
    let mut bench = FleetBench::new(policy);
    let mut order: Vec<(usize, &RandomServer)> = servers.iter().enumerate().collect();
    order.sort_by_key(|(_, random)| random.polled_after);
    let mut passed = 0;
    for (number, random) in order {
        bench.pass(Duration::from_secs(random.polled_after - passed));
        passed = random.polled_after;
        let id = format!("s{number:02}");
        let tags = if random.tagged { vec!["gpu".to_owned()] } else { Vec::new() };
        let stored = Server { weight: random.weight, admin: random.admin, tags, ..server(&id) };
        bench.write(PlanWrite::server(stored));
        // A server that was offline first starts slowly.
        bench.write(PlanWrite::Health(sid(&id), health(0, 99)));
        let recover = if random.errors == 0 { 99 } else { 0 };
        bench.write(PlanWrite::Health(sid(&id), health(recover, random.errors)));
        let mut polled = load(random.users);
        polled.meetings[0].internal_id = crate::core::testkit::iid(&format!("{id}-base"));
        bench.write(PlanWrite::Sample(sid(&id), polled));
        for meeting in 0..random.records {
            let mut pending = record(&id, &format!("{id}-{meeting}"));
            pending.state = usher_model::meeting::RecordState::Pending;
            bench.write(PlanWrite::Record(key(&format!("{id}-{meeting}")), pending));
        }
        for suspect in 0..random.suspects {
            let zombie = Zombie {
                state: ZombieState::Due,
                internal_id: None,
                reason: String::new(),
                since_ms: 0,
                stood_ms: 0,
            };
            bench.write(PlanWrite::Zombie(zkey(&format!("{id}-gone-{suspect}"), &id), zombie));
        }
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_index_leads_to_the_choice_of_a_walk_over_all_servers(
        servers in prop::collection::vec(random_server(), 0..14),
        most in prop::sample::select(vec![1_u32, 2, 3, 1000]),
        excluded in prop::collection::vec(0_usize..14, 0..3),
        waiting in prop::collection::vec((0_usize..14, 1_u32..40), 0..6),
        passed in 0_u64..200,
        when_full in prop::sample::select(vec![WhenFull::Wait, WhenFull::PassOver, WhenFull::LastResort]),
    ) {
        let mut bench = fleet_of(&servers, most);
        bench.pass(Duration::from_secs(passed));
        let mut inflight = InflightPlacements::default();
        for (number, (server, users)) in waiting.iter().enumerate() {
            let key = key(&format!("waits-{number}"));
            inflight.begin(&format!("waits-{number}"), key, sid(&format!("s{server:02}")), *users);
        }
        inflight.see(&bench.fleet);
        for meeting in ["m", "n", "o"] {
            let excluded = excluded.iter().map(|number| sid(&format!("s{number:02}"))).collect();
            let request = PlacementRequest { excluded, when_full, ..to_place(meeting) };
            let by = |order| choose_by(order, &bench.fleet, &inflight, &request, bench.now).0;
            prop_assert_eq!(by(CandidateOrder::Indexed), by(CandidateOrder::All));
        }
    }
}

#[test]
fn a_choice_looks_at_few_of_a_thousand_servers() {
    let mut bench = bench(1000);
    for (number, id) in names(1000).iter().enumerate() {
        let mut polled = load(u32::try_from(number * 7 % 499).unwrap());
        polled.meetings[0].internal_id = crate::core::testkit::iid(&format!("{id}-base"));
        bench.write(PlanWrite::Sample(sid(id), polled));
    }
    let mut all = 0;
    for number in 0..1000 {
        let request = request(&format!("m{number}"));
        let inflight = InflightPlacements::default();
        let by = |order| choose_by(order, &bench.fleet, &inflight, &request.placement, bench.now);
        let (choice, scored) = by(CandidateOrder::Indexed);
        all += scored;
        if number % 100 == 0 {
            assert_eq!((choice, 1000), by(CandidateOrder::All));
        }
        let step = place(&bench.fleet, &inflight, &request, bench.now).unwrap();
        assert!(bench.commit(&step.plan));
    }
    // Only equally loaded servers are compared with each other.
    assert!(all < 40_000, "{all} servers scored for 1000 choices");
}
