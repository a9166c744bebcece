//! Ids with white space that servers squeeze in their lists (wire-contract 3). `a  b` is listed as
//! `a b`, with an internal id that begins with the SHA-1 of `a  b`.

use super::*;

/// An instance of `a  b`, and one of `a b`.
const TWO_BLANKS: &str = "a002b74afb59919746ed50bcd16c5d37482251a1-5";
const ONE_BLANK: &str = "7dbde93504122a707f849f2c12bdd9de71b41929-5";

/// Returns the meeting as a server lists it: under `a b`, with the mark of an older version.
fn squeezed(instance: &str) -> SampledMeeting {
    listed("a b", instance)
}

fn record_of(bench: &mut FleetBench, id: &str, instance: Option<&str>) {
    write_record(bench, "a", instance);
    let record = bench.fleet.record(&key("m")).expect("was written").value.clone();
    bench.write(PlanWrite::Delete(FleetKey::Record(key("m"))));
    bench.write(PlanWrite::Record(key(id), record));
}

/// Polls server `a`, which lists these meetings, and commits all plans.
fn poll_lists(bench: &mut FleetBench, meetings: Vec<SampledMeeting>) {
    let sample = ServerSample { meetings, ..sample(bench.store.revision, &[]) };
    let work = on_sample(&bench.fleet, &sid("a"), &sample, bench.now.instant, bench.now);
    assert!(work.ends.is_empty());
    for plan in &work.plans {
        assert!(bench.commit(plan));
    }
    bench.write(PlanWrite::Sample(sid("a"), sample));
}

/// Returns the ids with a record, each with its instance.
fn records(bench: &FleetBench) -> Vec<(String, Option<String>)> {
    let mut records: Vec<_> = bench
        .fleet
        .records_on(&sid("a"))
        .map(|(key, stored)| {
            (key.meeting.to_string(), stored.value.state.internal_id().map(ToString::to_string))
        })
        .collect();
    records.sort();
    records
}

fn one(id: &str, instance: &str) -> (String, Option<String>) {
    (id.to_owned(), Some(instance.to_owned()))
}

#[test]
fn a_meeting_with_two_blanks_stays_one_meeting() {
    for confirmed in [None, Some(TWO_BLANKS)] {
        let mut bench = bench();
        record_of(&mut bench, "a  b", confirmed);
        for _ in 0..3 {
            poll_lists(&mut bench, vec![squeezed(TWO_BLANKS)]);
            assert_eq!(records(&bench), [one("a  b", TWO_BLANKS)]);
        }
        grow_old(&mut bench);
        poll_lists(&mut bench, vec![]);
        assert_eq!(records(&bench), [], "it has ended");
    }
}

#[test]
fn two_meetings_that_are_listed_under_one_id_are_told_apart() {
    let mut bench = bench();
    record_of(&mut bench, "a  b", None);
    record_of(&mut bench, "a b", None);
    poll_lists(&mut bench, vec![squeezed(TWO_BLANKS), squeezed(ONE_BLANK)]);
    assert_eq!(records(&bench), [one("a  b", TWO_BLANKS), one("a b", ONE_BLANK)]);
    grow_old(&mut bench);
    poll_lists(&mut bench, vec![squeezed(TWO_BLANKS)]);
    assert_eq!(records(&bench), [one("a  b", TWO_BLANKS)], "the other one has ended");
}

#[test]
fn after_the_loss_of_the_store_the_exact_id_of_the_mark_is_adopted_and_no_other() {
    let mut bench = bench();
    poll_lists(&mut bench, vec![squeezed(TWO_BLANKS)]);
    assert_eq!(records(&bench), [], "its true id is unknown");
    poll_lists(&mut bench, vec![SampledMeeting { key: Some(key("a  b")), ..squeezed(TWO_BLANKS) }]);
    assert_eq!(records(&bench), [one("a  b", TWO_BLANKS)]);
    poll_lists(&mut bench, vec![SampledMeeting { key: Some(key("a  b")), ..squeezed(TWO_BLANKS) }]);
    assert_eq!(records(&bench), [one("a  b", TWO_BLANKS)]);
}

#[test]
fn a_meeting_without_a_mark_is_no_guess_at_another_one() {
    let mut bench = bench();
    record_of(&mut bench, "a b", None);
    poll_lists(&mut bench, vec![SampledMeeting { key: None, ..squeezed(TWO_BLANKS) }]);
    assert_eq!(records(&bench), [("a b".to_owned(), None)], "it is the instance of another id");
}
