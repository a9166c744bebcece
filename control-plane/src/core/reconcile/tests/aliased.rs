//! One server under the entries `a` and `b`, both of which list the same instances (ADR 21).

use super::*;

/// Polls an entry of the server, on which the meetings in `runs` run, commits all plans and writes
/// the sample. Returns the ended instances.
fn poll_entry(bench: &mut FleetBench, entry: &str, runs: &[(&str, &str)]) -> Vec<String> {
    let seen = sample(bench.store.revision, runs);
    let work = on_sample(&bench.fleet, &sid(entry), &seen, bench.now.instant, bench.now);
    for plan in &work.plans {
        assert!(bench.commit(plan));
    }
    for asked in work.verify {
        // The one server answers a query through either entry.
        if runs.iter().all(|(_, instance)| iid(instance) != asked.internal_id) {
            assert!(bench.commit(&asked.if_gone));
        }
    }
    for end in &work.ends {
        assert!(end.mark.is_empty() || bench.commit(&end.mark));
    }
    bench.write(PlanWrite::Sample(sid(entry), seen));
    work.ends.iter().map(|end| end.internal_id.to_string()).collect()
}

fn zombies(bench: &FleetBench) -> usize {
    bench.fleet.zombies().len()
}

#[test]
fn i2_a_meeting_that_two_entries_list_is_one_and_is_never_ended() {
    let runs = [("m", "m-7"), ("n", "n-8")];
    for record in [Some("m-7"), None] {
        let mut bench = bench();
        write_record(&mut bench, "a", record);
        for _ in 0..4 {
            assert!(poll_entry(&mut bench, "b", &runs).is_empty(), "{record:?}");
            assert!(poll_entry(&mut bench, "a", &runs).is_empty(), "{record:?}");
        }
        assert_eq!(instance(&bench), Some(("a".into(), Some("m-7".into()))));
        assert_eq!((zombies(&bench), bench.fleet.records().len()), (0, 2));
        assert_eq!(bench.fleet.original_of(&sid("b")), Some(&sid("a")));
    }
}

#[test]
fn i2_a_meeting_created_anew_is_not_ended_before_its_confirmation_was_written() {
    let mut bench = bench();
    write_record(&mut bench, "a", Some("m-1"));
    // `m-1` ended before a poll showed it, a create was answered with `m-2`, and its confirmation
    // is on its way.
    for _ in 0..3 {
        assert!(poll_entry(&mut bench, "b", &[("m", "m-2")]).is_empty());
    }
    assert_eq!(zombies(&bench), 0);
}

#[test]
fn a_duplicate_is_ended_once_the_server_of_its_record_does_not_know_it() {
    for record in [Some("m-1"), None] {
        let mut bench = bench();
        write_record(&mut bench, "b", record);
        let asked = |work: &ReconcilePlan| {
            work.verify.iter().map(|asked| (asked.server.clone(), asked.doubt)).collect::<Vec<_>>()
        };
        let work = look(&bench, bench.store.revision, &[("m", "m-2")]);
        assert_eq!(
            (asked(&work), work.plans.len()),
            (vec![(sid("b"), CheckReason::OneServerTwice)], 0),
            "{record:?}"
        );
        assert!(bench.commit(&work.verify[0].if_gone));
        assert_eq!(poll(&mut bench, &[("m", "m-2")]), ["m-2"]);
    }
}

#[test]
fn an_older_duplicate_or_one_of_an_unreachable_server_is_ended_without_a_query() {
    let mut away = bench();
    write_record(&mut away, "b", Some("m-1"));
    away.offline("b");
    assert!(poll(&mut away, &[("m", "m-2")]).is_empty());
    assert_eq!(poll(&mut away, &[("m", "m-2")]), ["m-2"]);
    let mut older = bench();
    write_record(&mut older, "b", Some("m-3"));
    assert!(poll(&mut older, &[("m", "m-2")]).is_empty());
    assert_eq!(poll(&mut older, &[("m", "m-2")]), ["m-2"]);
}

#[test]
fn i2_a_zombie_of_one_entry_is_removed_once_a_record_names_it_through_the_other() {
    for state in [ZombieState::Waiting, ZombieState::Due] {
        let mut bench = bench();
        write_zombie(&mut bench, state, Some("m-7"));
        write_record(&mut bench, "b", Some("m-7"));
        assert!(poll_entry(&mut bench, "a", &[("m", "m-7")]).is_empty(), "{state:?}");
        assert_eq!(zombies(&bench), 0, "{state:?}");
    }
    let mut suspect = bench();
    write_zombie(&mut suspect, ZombieState::Due, None);
    write_record(&mut suspect, "b", Some("m-7"));
    assert!(poll_entry(&mut suspect, "a", &[("m", "m-7")]).is_empty());
    assert_eq!(zombies(&suspect), 0);
}

#[test]
fn a_zombie_of_one_entry_is_ended_by_the_other_and_not_adopted() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Due, Some("m-7"));
    bench.offline("a");
    assert!(poll_entry(&mut bench, "b", &[("m", "m-7")]).is_empty());
    assert_eq!(instance(&bench), None);
    assert_eq!(poll_entry(&mut bench, "b", &[("m", "m-7")]), ["m-7"]);
    let mut waiting = self::bench();
    write_zombie(&mut waiting, ZombieState::Waiting, Some("m-7"));
    waiting.offline("a");
    for _ in 0..3 {
        assert!(poll_entry(&mut waiting, "b", &[("m", "m-7")]).is_empty());
    }
    assert_eq!((instance(&waiting), zombies(&waiting)), (None, 1), "the instance may route again");
}

#[test]
fn i2_an_end_that_is_about_to_be_sent_yields_to_a_record_that_names_its_instance() {
    let mut bench = bench();
    write_zombie(&mut bench, ZombieState::Due, Some("m-7"));
    let work = look(&bench, bench.store.revision, &[("m", "m-7")]);
    write_record(&mut bench, "b", Some("m-7"));
    assert!(!bench.commit(&work.ends[0].mark), "the record was committed first");
}

#[test]
fn s6_a_cordoned_second_entry_is_empty_although_it_lists_the_meetings_of_the_first() {
    let mut bench = bench();
    write_record(&mut bench, "b", Some("m-7"));
    bench.write(PlanWrite::server(Server { admin: AdminState::Cordoned, ..server("a") }));
    let seen = sample(bench.store.revision, &[("m", "m-7")]);
    bench.write(PlanWrite::Sample(sid("a"), seen));
    assert_eq!(sweep(&bench.fleet, MissingServer::Removed, bench.now).drained, [sid("a")]);
}
