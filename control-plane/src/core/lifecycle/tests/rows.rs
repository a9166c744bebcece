//! Requirements A5, one test for each row of the table.

use super::*;

#[test]
fn a_create_leaves_a_pending_record_and_only_the_first_one_does() {
    let mut bench = bench();
    let (one, two) = (request("t1"), request("t2"));
    let racing = place(&bench.fleet, &InflightPlacements::default(), &two, bench.now).unwrap();
    let (server, _) = put(&mut bench, &one).unwrap();
    assert!(!bench.commit(&racing.plan), "S15: the loser's guard fails");
    assert_eq!(put(&mut bench, &two), Ok((server, false)), "and it gets the winner's record");
}

#[test]
fn i7_a_choice_does_not_outlive_its_servers_health_or_admin_state() {
    for change in [0, 1] {
        let mut bench = bench();
        let step = place(&bench.fleet, &InflightPlacements::default(), &request("t1"), bench.now).unwrap();
        let PlacementOutcome::New { record, .. } = &step.outcome else { panic!("the placement is new") };
        if change == 0 {
            bench.unhealthy(record.server.as_str());
        } else {
            let admin = AdminState::Cordoned;
            bench.write(PlanWrite::server(Server { admin, ..server(record.server.as_str()) }));
        }
        assert!(!bench.commit(&step.plan));
    }
}

#[test]
fn a_confirmed_record_is_active() {
    let mut bench = bench();
    active_on_a(&mut bench);
    assert_eq!(record(&bench), Some(at("a", "active", Some("m-1"))));
    assert!(confirm_now(&mut bench, &answer("a", None, "m-1")), "a repetition changes no key");
}

#[test]
fn h4_while_unhealthy_an_id_is_never_placed_elsewhere() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.unhealthy("a");
    assert_eq!(put(&mut bench, &request("t2")), Ok(("a".into(), false)));
    let supersede = CreateRequest { supersede: true, ..request("t3") };
    assert_eq!(put(&mut bench, &supersede), Ok(("b".into(), true)), "the caller requests it");
    assert_eq!(zombie(&bench, "a"), Some(waiting("m-1")));
}

#[test]
fn h5_the_id_of_an_offline_server_goes_elsewhere_and_the_old_instance_waits_for_the_confirmation() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.offline("a");
    assert_eq!(put(&mut bench, &request("t2")), Ok(("b".into(), true)));
    assert_eq!((record(&bench), zombie(&bench, "a")), (Some(at("b", "pending", None)), Some(waiting("m-1"))));
    assert!(confirm_now(&mut bench, &answer("b", Some("t2"), "m-2")));
    assert_eq!(
        (record(&bench), zombie(&bench, "a")),
        (Some(at("b", "active", Some("m-2"))), Some(due("m-1")))
    );
}

#[test]
fn h5_a_supersede_fails_when_the_server_came_back_meanwhile() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.offline("a");
    let step = place(&bench.fleet, &InflightPlacements::default(), &request("t2"), bench.now).unwrap();
    bench.online("a");
    assert!(!bench.commit(&step.plan));
    assert_eq!(put(&mut bench, &request("t2")), Ok(("a".into(), false)));
}

#[test]
fn a_pending_record_on_an_offline_server_leaves_a_suspect_zombie() {
    let mut bench = bench();
    pending_on_a(&mut bench);
    bench.offline("a");
    assert_eq!(put(&mut bench, &request("t2")), Ok(("b".into(), true)));
    assert_eq!(zombie(&bench, "a"), Some((ZombieState::Due, None)));
}

#[test]
fn a_definite_failure_removes_the_record_and_an_unknown_one_leaves_a_suspect_zombie() {
    for (certainty, left) in
        [(CreateCertainty::Definite, None), (CreateCertainty::Unknown, Some((ZombieState::Due, None)))]
    {
        let mut bench = bench();
        pending_on_a(&mut bench);
        let step = abandon(&bench.fleet, &key("m"), &sid("a"), "t1", certainty, 0);
        assert!(step.outcome && bench.commit(&step.plan));
        assert_eq!((record(&bench), zombie(&bench, "a")), (None, left));
    }
}

#[test]
fn a_report_abandons_only_the_pending_record_of_its_own_placement() {
    let mut bench = bench();
    pending_on_a(&mut bench);
    let other = abandon(&bench.fleet, &key("m"), &sid("a"), "t2", CreateCertainty::Unknown, 0);
    assert!(!other.outcome && other.plan.is_empty());
    assert!(confirm_now(&mut bench, &answer("a", Some("t1"), "m-1")));
    let late = abandon(&bench.fleet, &key("m"), &sid("a"), "t1", CreateCertainty::Unknown, 0);
    assert!(!late.outcome && late.plan.is_empty());
}

#[test]
fn an_abandoned_replacement_returns_the_record_to_the_old_instance() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.offline("a");
    put(&mut bench, &request("t2")).unwrap();
    let step = abandon(&bench.fleet, &key("m"), &sid("b"), "t2", CreateCertainty::Unknown, 0);
    assert!(bench.commit(&step.plan));
    assert_eq!((record(&bench), zombie(&bench, "a")), (Some(at("a", "active", Some("m-1"))), None));
    assert_eq!(zombie(&bench, "b"), Some((ZombieState::Due, None)));
}

#[test]
fn a_forwarded_create_confirms_a_pending_record_and_a_foreign_token_does_not() {
    let mut bench = bench();
    pending_on_a(&mut bench);
    assert!(!confirm_now(&mut bench, &answer("a", Some("other"), "m-1")));
    assert!(confirm_now(&mut bench, &answer("a", None, "m-1")));
}

#[test]
fn a_newer_instance_replaces_an_older_one_and_never_the_reverse() {
    let mut bench = bench();
    active_on_a(&mut bench);
    assert!(confirm_now(&mut bench, &answer("a", None, "m-5")));
    assert!(
        confirm_now(&mut bench, &answer("a", None, "m-3")),
        "the meeting is routed, so its caller may be answered SUCCESS"
    );
    assert_eq!(record(&bench), Some(at("a", "active", Some("m-5"))));
}

#[test]
fn a_confirmation_makes_a_lost_record_anew_unless_a_zombie_is_there() {
    let mut bench = bench();
    assert!(confirm_now(&mut bench, &answer("a", None, "m-1")));
    assert_eq!(record(&bench), Some(at("a", "active", Some("m-1"))));
    let mut bench = self::bench();
    pending_on_a(&mut bench);
    let step = abandon(&bench.fleet, &key("m"), &sid("a"), "t1", CreateCertainty::Unknown, 0);
    assert!(bench.commit(&step.plan));
    assert!(
        !confirm_now(&mut bench, &answer("a", Some("t1"), "m-1")),
        "I13: the caller gets an error, not a false answer"
    );
    assert_eq!(record(&bench), None);
}

#[test]
fn h13_an_answer_for_an_id_that_moved_on_is_a_due_zombie() {
    let mut bench = bench();
    let step = confirm(&bench.fleet, &key("m"), &answer("b", None, "m-2"), 0);
    assert!(bench.commit(&step.plan));
    assert!(!confirm_now(&mut bench, &answer("a", Some("t1"), "m-1")));
    assert_eq!(
        (record(&bench), zombie(&bench, "a")),
        (Some(at("b", "active", Some("m-2"))), Some((ZombieState::Due, None)))
    );
}

#[test]
fn an_end_takes_the_meeting_out_of_the_table_at_once() {
    let mut bench = bench();
    active_on_a(&mut bench);
    let stale = report_end(&bench.fleet, &key("m"), &sid("a"), instance(&iid("m-0")), 0);
    assert_eq!(stale.outcome, EndReportOutcome::NotRouted, "the report names another instance");
    let step = report_end(&bench.fleet, &key("m"), &sid("a"), instance(&iid("m-1")), 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(record(&bench), Some(at("a", "ending", Some("m-1"))));
    assert!(bench.fleet.routing().meeting(&key("m")).is_none());
    assert_eq!(put(&mut bench, &request("t2")), Ok(("b".into(), true)), "and it can be created anew");
    assert_eq!(zombie(&bench, "a"), Some(due("m-1")));
    assert!(!confirm_now(&mut bench, &answer("a", None, "m-1")));
}

#[test]
fn a4_an_end_during_offline_is_kept_until_the_server_returns() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.offline("a");
    let step = report_end(&bench.fleet, &key("m"), &sid("a"), instance(&iid("m-1")), 0);
    assert!(bench.commit(&step.plan));
    assert_eq!((record(&bench), zombie(&bench, "a")), (None, Some(due("m-1"))));
}

#[test]
fn a4_an_end_that_was_never_sent_is_kept_although_the_server_has_returned() {
    for placed in [active_on_a, pending_on_a] {
        let mut bench = bench();
        placed(&mut bench);
        let running = iid("m-1");
        let ended = EndReport { instance: Some(&running), placement: Some("t1"), unsent: true };
        let step = report_end(&bench.fleet, &key("m"), &sid("a"), ended, 0);
        assert!(bench.commit(&step.plan));
        assert_eq!((record(&bench), zombie(&bench, "a")), (None, Some(due("m-1"))));
        let again = report_end(&bench.fleet, &key("m"), &sid("a"), ended, 0);
        assert_eq!(again.outcome, EndReportOutcome::NotRouted);
    }
}

#[test]
fn an_end_of_a_replacement_also_ends_the_superseded_instance() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.offline("a");
    put(&mut bench, &request("t2")).unwrap();
    let step = report_end(&bench.fleet, &key("m"), &sid("b"), placement("t2"), 0);
    assert!(bench.commit(&step.plan));
    assert_eq!((record(&bench), zombie(&bench, "a")), (Some(at("b", "ending", None)), Some(due("m-1"))));
}

#[test]
fn i2_a_report_of_an_end_changes_only_the_record_that_it_names() {
    let mut bench = bench();
    pending_on_a(&mut bench);
    let older = iid("m-0");
    let late = [EndReport::default(), instance(&older), placement("t0"), placement("")];
    for ended in late {
        let step = report_end(&bench.fleet, &key("m"), &sid("a"), ended, 0);
        assert_eq!(step.outcome, EndReportOutcome::NotRouted, "the meeting is being created: {ended:?}");
    }
    assert!(confirm_now(&mut bench, &answer("a", Some("t1"), "m-1")));
    for ended in late.into_iter().chain([placement("t1")]) {
        let step = report_end(&bench.fleet, &key("m"), &sid("a"), ended, 0);
        assert_eq!(
            step.outcome,
            EndReportOutcome::NotRouted,
            "the record may be newer than the ended instance: {ended:?}"
        );
    }
}

#[test]
fn an_end_that_overtakes_the_confirmation_takes_the_meeting_out_and_no_newer_one() {
    let mut bench = bench();
    pending_on_a(&mut bench);
    let ended = EndReport { instance: Some(&iid("m-1")), placement: Some("t1"), unsent: false };
    let step = report_end(&bench.fleet, &key("m"), &sid("a"), ended, 0);
    assert!(bench.commit(&step.plan));
    assert_eq!(record(&bench), Some(at("a", "ending", Some("m-1"))));
    assert!(!confirm_now(&mut bench, &answer("a", Some("t1"), "m-1")), "the confirmation comes too late");
    assert!(confirm_now(&mut bench, &answer("a", None, "m-2")), "a create that was under way made another");
    assert_eq!(record(&bench), Some(at("a", "active", Some("m-2"))));
}

#[test]
fn an_operator_frees_an_id_while_unhealthy_but_not_while_online() {
    let mut bench = bench();
    active_on_a(&mut bench);
    assert_eq!(supersede(&bench.fleet, &key("m"), 0), Err(SupersedeError::Online));
    bench.unhealthy("a");
    let step = supersede(&bench.fleet, &key("m"), 0).unwrap();
    assert!(bench.commit(&step.plan));
    assert_eq!((record(&bench), zombie(&bench, "a")), (None, Some(waiting("m-1"))));
    assert_eq!(supersede(&bench.fleet, &key("m"), 0), Err(SupersedeError::NotFound));
}

#[test]
fn a_record_of_a_server_that_was_removed_is_placed_anew() {
    let mut bench = bench();
    active_on_a(&mut bench);
    bench.write(PlanWrite::Delete(crate::core::plan::FleetKey::Server(sid("a"))));
    assert_eq!(put(&mut bench, &request("t2")), Ok(("b".into(), true)));
    assert_eq!(zombie(&bench, "a"), None, "no poll would ever end a zombie of a removed server");
}
