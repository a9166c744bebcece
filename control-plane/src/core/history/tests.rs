use usher_model::{
    id::ServerId,
    meeting::MeetingKey,
    routing::{MeetingRoute, RouteState, RoutingTable},
};

use super::*;

fn delta(base: u64, revision: u64, meetings: &[(&str, bool)]) -> Arc<RoutingDelta> {
    let mut delta = RoutingDelta::new(Revision::new(1, base), Revision::new(1, revision));
    for (name, stands) in meetings {
        let key = MeetingKey::new("default".parse().unwrap(), name.parse().unwrap());
        let server = ServerId::parse("a").unwrap();
        let state = RouteState::Pending;
        let route = MeetingRoute { key: key.clone(), server, state, voice_bridge: None };
        delta.meetings.insert(key, stands.then_some(route));
    }
    Arc::new(delta)
}

#[test]
fn x4_a_subscriber_gets_one_delta_from_wherever_it_stands() {
    let mut history = RoutingHistory::new(Revision::new(1, 0), 10, 100);
    let deltas = [
        delta(0, 3, &[("m", true)]),
        delta(3, 4, &[]),
        delta(4, 9, &[("m", false), ("n", true)]),
        delta(9, 10, &[]),
    ];
    let mut tables = vec![RoutingTable::empty(Revision::new(1, 0))];
    for delta in deltas {
        let mut next = tables.last().unwrap().clone();
        next.apply(&delta).unwrap();
        tables.push(next);
        history.push(delta);
    }
    let last = tables.last().unwrap().clone();
    for mut table in tables {
        match history.since(table.revision()) {
            ResumePoint::UpToDate => assert_eq!(table.revision(), history.head()),
            ResumePoint::Delta(delta) => table.apply(&delta).unwrap(),
            ResumePoint::Snapshot => panic!("the history holds {}", table.revision()),
        }
        assert_eq!(table, last);
    }
}

#[test]
fn x4_a_subscriber_gets_the_way_to_a_revision_before_the_present() {
    let mut history = RoutingHistory::new(Revision::new(1, 0), 10, 100);
    for seq in 0..5 {
        history.push(delta(seq, seq + 1, &[(&format!("m{seq}"), true)]));
    }
    let at = |seq| Revision::new(1, seq);
    let ResumePoint::Delta(part) = history.between(at(1), at(3)) else { panic!("the history holds it") };
    assert_eq!((part.base, part.revision, part.len()), (at(1), at(3), 2));
    assert_eq!(history.between(at(3), at(3)), ResumePoint::UpToDate);
    assert_eq!(history.between(at(1), at(9)), history.since(at(1)));
    assert_eq!(history.between(at(1), Revision::new(2, 3)), history.since(at(1)));
    assert_eq!(history.between(at(4), at(3)), ResumePoint::Snapshot);
}

#[test]
fn a_subscriber_too_old_too_new_or_of_another_epoch_gets_a_snapshot() {
    let mut history = RoutingHistory::new(Revision::new(1, 0), 2, 100);
    for seq in 0..5 {
        history.push(delta(seq, seq + 1, &[("m", seq % 2 == 0)]));
    }
    assert_eq!(history.since(Revision::new(1, 2)), ResumePoint::Snapshot);
    assert!(matches!(history.since(Revision::new(1, 3)), ResumePoint::Delta(_)));
    assert_eq!(history.since(Revision::new(1, 6)), ResumePoint::Snapshot);
    assert_eq!(history.since(Revision::new(2, 4)), ResumePoint::Snapshot);
}

#[test]
fn entries_are_bounded_too_and_a_gap_starts_anew() {
    let mut history = RoutingHistory::new(Revision::new(1, 0), 100, 3);
    history.push(delta(0, 1, &[("a", true), ("b", true)]));
    history.push(delta(1, 2, &[("c", true), ("d", true)]));
    assert_eq!(history.since(Revision::new(1, 0)), ResumePoint::Snapshot);
    assert!(matches!(history.since(Revision::new(1, 1)), ResumePoint::Delta(d) if d.len() == 2));
    history.push(delta(7, 8, &[("e", true)]));
    assert_eq!(history.since(Revision::new(1, 2)), ResumePoint::Snapshot);
    assert!(matches!(history.since(Revision::new(1, 7)), ResumePoint::Delta(_)));
}
