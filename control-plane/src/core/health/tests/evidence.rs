//! The weight of failed calls.

use std::collections::BTreeSet;

use usher_bbb::secret::Secret;
use usher_model::{
    id::{MeetingId, TenantId},
    routing::TenantRoute,
};

use super::*;
use crate::core::{
    plan::PlanWrite,
    testkit::{FleetBench, sample},
};

fn bench(tenants: &[&str]) -> FleetBench {
    let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
    for tenant in tenants {
        let secrets = vec![Secret::new("secret")];
        let id = TenantId::parse(tenant).unwrap();
        bench.write(PlanWrite::tenant(TenantRoute { secrets, ..TenantRoute::new(id) }));
    }
    bench
}

fn report(callers: &[(&str, &str)], succeeds_elsewhere: bool) -> FailureReport {
    let caller =
        |(tenant, meeting): &(&str, &str)| (TenantId::parse(tenant).unwrap(), MeetingId::parse(meeting).ok());
    FailureReport { no_connection: false, callers: callers.iter().map(caller).collect(), succeeds_elsewhere }
}

#[test]
fn x6_the_weight_of_a_failed_call_follows_the_table() {
    let (several, alone) = (bench(&["one", "two", "three"]), bench(&["one"]));
    let no_connection = FailureReport { no_connection: true, ..report(&[], false) };
    let meetings = [("one", "a"), ("one", "b"), ("one", "c"), ("one", "d")];
    let both = [("one", "a"), ("two", "b")];
    for (case, bench, told, weight) in [
        ("no connection", &several, &no_connection, FailureWeight::Counts),
        ("no connection, one tenant", &alone, &no_connection, FailureWeight::Counts),
        ("nobody's", &several, &report(&[], true), FailureWeight::Look),
        ("one tenant of several", &several, &report(&meetings, true), FailureWeight::Look),
        ("two tenants", &several, &report(&both, true), FailureWeight::Counts),
        ("two tenants, and everywhere", &several, &report(&both, false), FailureWeight::Look),
        (
            "one that is not served",
            &several,
            &report(&[("one", "a"), ("gone", "b")], true),
            FailureWeight::Look,
        ),
        ("alone, two meetings", &alone, &report(&meetings[..2], true), FailureWeight::Look),
        ("alone, three meetings", &alone, &report(&meetings[..3], true), FailureWeight::Counts),
        ("alone, and everywhere", &alone, &report(&meetings, false), FailureWeight::Look),
        ("alone, lists", &alone, &report(&[("one", "")], true), FailureWeight::Look),
    ] {
        assert_eq!(weigh(told, &bench.fleet), weight, "{case}");
    }
}

proptest! {
    /// Calls of one tenant, failed in any way and reported any number of times, never change the health
    /// of a server whose polls succeed.
    #[test]
    fn x6_no_reports_of_one_tenant_change_the_health_of_a_server_whose_polls_are_good(
        reports in prop::collection::vec((prop::collection::btree_set(0_u8..20, 0..8), any::<bool>(), 0_u64..30_000, any::<bool>()), 0..100),
        others in 1_usize..4,
    ) {
        let names = ["hostile", "one", "two", "three"];
        let mut bench = bench(&names[..=others]);
        let before = bench.fleet.server(&sid("a")).unwrap().health_record.clone().unwrap().value;
        for (meetings, succeeds_elsewhere, pause, polled) in reports {
            bench.pass(Duration::from_millis(pause));
            let tenant = TenantId::parse("hostile").unwrap();
            let meeting = |number: &u8| Some(MeetingId::parse(&format!("m{number}")).unwrap());
            let callers: BTreeSet<_> = meetings.iter().map(|number| (tenant.clone(), meeting(number))).collect();
            let told = FailureReport { no_connection: false, callers, succeeds_elsewhere };
            prop_assert_eq!(weigh(&told, &bench.fleet), FailureWeight::Look);
            if polled {
                let plan = poll_ok(&bench.fleet, &sid("a"), sample(bench.store.revision, &[]), bench.now);
                prop_assert!(bench.commit(&plan));
            }
            prop_assert_eq!(&bench.fleet.server(&sid("a")).unwrap().health_record.clone().unwrap().value, &before);
        }
    }
}
