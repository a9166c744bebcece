//! The adoption of another balancer's meetings by name (ADR 12).

use usher_model::{
    id::{MeetingId, TenantId},
    meeting::MeetingKey,
    server::{SampledMeeting, ServerSample},
};

use super::*;
use crate::core::{draft::PlanDraft, reconcile::on_sample, testkit::listed};

/// SHA-1 of `m` and of `school~m`, as the beginning of internal ids.
const M: &str = "6b0d31c0d563223024da45691584643ac78c96e8";
const SCHOOL_M: &str = "b37a7d44362016c63cef5a44ac730c0c0690548a";

fn school() -> TenantId {
    TenantId::parse("school").unwrap()
}

fn schools() -> MeetingKey {
    MeetingKey::new(school(), MeetingId::parse("m").unwrap())
}

/// Returns the list entry of a meeting that another balancer created.
fn foreign(instance: &str) -> SampledMeeting {
    SampledMeeting { key: None, ..listed("m", instance) }
}

/// Adopts `key` from a list of server `a`, and commits the plan.
fn adopted(bench: &mut FleetBench, key: &MeetingKey, listed: SampledMeeting) -> AdoptionOutcome {
    let list = ServerSample { meetings: vec![listed], ..sample(bench.store.revision, &[]) };
    let step = adopt(&bench.fleet, &sid("a"), key, &list, bench.now.wall_ms);
    assert!(step.plan.is_empty() || bench.commit(&step.plan));
    step.outcome
}

#[test]
fn a_listed_meeting_is_taken_over_once_and_an_unlisted_one_never() {
    let mut bench = bench();
    assert_eq!(adopted(&mut bench, &key("m"), foreign("m-7")), AdoptionOutcome::Adopted);
    assert_eq!(record(&bench), Some(at("a", "active", Some("m-7"))));
    assert_eq!(adopted(&mut bench, &key("m"), foreign("m-7")), AdoptionOutcome::Standing);
    assert_eq!(adopted(&mut bench, &key("other"), foreign("m-7")), AdoptionOutcome::NotRunning);
    let breakout = SampledMeeting { breakout: true, ..foreign("m-7") };
    assert_eq!(adopted(&mut bench, &key("other"), breakout), AdoptionOutcome::NotRunning);
}

#[test]
fn a_meeting_that_usher_knows_differently_stays_unchanged() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let list = ServerSample { meetings: vec![foreign("m-9")], ..sample(bench.store.revision, &[]) };
    let elsewhere = adopt(&bench.fleet, &sid("b"), &key("m"), &list, 0);
    assert_eq!(elsewhere, PlannedStep::settled(AdoptionOutcome::Elsewhere(sid("a"))));
    bench.offline("a");
    put(&mut bench, &request("t2")).unwrap();
    let zombie = adopt(&bench.fleet, &sid("a"), &key("m"), &list, 0);
    assert_eq!(zombie, PlannedStep::settled(AdoptionOutcome::Elsewhere(sid("b"))));
    let step = abandon(&bench.fleet, &key("m"), &sid("b"), "t2", CreateCertainty::Unknown, 0);
    assert!(bench.commit(&step.plan));
    let suspect = adopt(&bench.fleet, &sid("b"), &key("m"), &list, 0);
    assert!(suspect.plan.is_empty());
}

#[test]
fn a_list_from_before_the_end_of_a_meeting_does_not_bring_it_back() {
    let mut bench = bench();
    let before = sample(bench.store.revision, &[]);
    active_on_a(&mut bench);
    let mut draft = PlanDraft::new(&bench.fleet, 0);
    draft.remove_record(&key("m"));
    let gone = draft.into_plan();
    assert!(bench.commit(&gone));
    let list = ServerSample { meetings: vec![foreign("m-1")], ..before };
    assert_eq!(
        adopt(&bench.fleet, &sid("a"), &key("m"), &list, 0),
        PlannedStep::settled(AdoptionOutcome::NotRunning)
    );
}

#[test]
fn a_disabled_server_gets_no_meeting_and_a_cordoned_one_is_not_disabled_meanwhile() {
    let mut bench = bench();
    let cordoned = Server { admin: AdminState::Cordoned, ..server("a") };
    bench.write(PlanWrite::server(cordoned));
    let seen = bench.fleet.server(&sid("a")).unwrap().clone();
    let disable = crate::core::lifecycle::drained(&seen);
    assert_eq!(adopted(&mut bench, &key("m"), foreign("m-7")), AdoptionOutcome::Adopted);
    assert!(!bench.commit(&disable), "the plan was decided without this meeting");
    bench.write(PlanWrite::server(Server { admin: AdminState::Disabled, ..server("a") }));
    assert_eq!(adopted(&mut bench, &key("other"), foreign("m-7")), AdoptionOutcome::NotRunning);
}

#[test]
fn an_unscoped_meeting_belongs_to_its_tenant_alone_and_default_gets_no_meeting_beside_it() {
    let mut bench = bench();
    let instance = format!("{M}-7");
    // A server for `default`'s meeting of that id was chosen just before.
    let racing = place(&bench.fleet, &InflightPlacements::default(), &request("t1"), bench.now).unwrap();
    let PlacementOutcome::New { record: placed, .. } = &racing.outcome else { panic!("it is new") };
    let mut list = sample(bench.store.revision, &[]);
    list.meetings = vec![foreign(&instance)];
    let step = adopt(&bench.fleet, &placed.server, &schools(), &list, 0);
    assert_eq!(step.outcome, AdoptionOutcome::Adopted);
    assert!(bench.commit(&step.plan) && !bench.commit(&racing.plan), "the choice must be made anew");
    let home = placed.server.to_string();
    let (elsewhere, _) = put(&mut bench, &request("t2")).unwrap();
    assert_ne!(elsewhere, home, "on that server the tenant's meeting would answer the create");
    let taken = adopt(&bench.fleet, &sid(&home), &key("m"), &list, 0);
    assert!(taken.plan.is_empty());
}

#[test]
fn an_unscoped_meeting_is_not_adopted_where_default_has_one_of_the_id() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let default = TenantId::default_tenant();
    let bare = format!("{M}-7");
    assert_eq!(adopted(&mut bench, &schools(), foreign(&bare)), AdoptionOutcome::Taken(default.clone()));
    assert_eq!(adopted(&mut bench, &schools(), listed("m", &bare)), AdoptionOutcome::Taken(default));
}

#[test]
fn ids_that_could_be_a_scoped_one_are_not_taken_over() {
    let mut bench = bench();
    let scoped = SampledMeeting { external_id: "school~m".into(), ..foreign(&format!("{SCHOOL_M}-7")) };
    assert_eq!(adopted(&mut bench, &key("school~m"), scoped.clone()), AdoptionOutcome::Unfit);
    assert_eq!(
        adopted(&mut bench, &schools(), foreign("odd-7")),
        AdoptionOutcome::Unfit,
        "edges could not distinguish the ids"
    );
    let marked = SampledMeeting { key: Some(schools()), ..scoped };
    assert_eq!(
        adopted(&mut bench, &schools(), marked),
        AdoptionOutcome::Adopted,
        "a meeting of Usher's that no poll has listed yet"
    );
}

#[test]
fn the_next_list_without_it_takes_it_away_again() {
    let mut bench = bench();
    assert_eq!(adopted(&mut bench, &schools(), foreign(&format!("{M}-7"))), AdoptionOutcome::Adopted);
    bench.pass(std::time::Duration::from_mins(10));
    let empty = sample(bench.store.revision, &[]);
    let work = on_sample(&bench.fleet, &sid("a"), &empty, bench.now.instant, bench.now);
    for plan in work.plans {
        assert!(bench.commit(&plan));
    }
    assert!(bench.fleet.record(&schools()).is_none() && work.ends.is_empty());
}

#[test]
fn i2_under_adopt_all_a_poll_adopts_no_tenants_meeting_for_default() {
    for claim in [None, Some(school())] {
        let policy = Policy { adopt: usher_model::settings::AdoptPolicy::All, ..Policy::default() };
        let mut bench = FleetBench::with_servers(policy, &["a", "b"]);
        let running = SampledMeeting { claim: claim.clone(), ..foreign(&format!("{M}-7")) };
        if claim.is_none() {
            assert_eq!(adopted(&mut bench, &schools(), running.clone()), AdoptionOutcome::Adopted);
        }
        let list = ServerSample { meetings: vec![running], ..sample(bench.store.revision, &[]) };
        let work = on_sample(&bench.fleet, &sid("a"), &list, bench.now.instant, bench.now);
        for plan in work.plans {
            assert!(bench.commit(&plan));
        }
        assert!(
            bench.fleet.record(&schools()).is_some() && bench.fleet.record(&key("m")).is_none(),
            "{claim:?}"
        );
    }
}
