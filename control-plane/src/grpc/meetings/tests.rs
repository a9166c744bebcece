//! Pages of meetings of a large fleet.

use std::time::Instant;

use usher_proto::v1;

use super::*;
use crate::core::{
    plan::FleetEvent,
    policy::Policy,
    testkit::{key, listed, record, sample, server, sid},
};

/// Returns a fleet of `servers` servers with `each` meetings each, which their samples list.
fn large(servers: usize, each: usize) -> Fleet {
    let stored = |value, modified| Some(Stored { value, created: modified, modified });
    let mut fleet = Fleet::new(7, Policy::default());
    for number in 0..servers {
        let id = format!("bbb{number}");
        let mut events =
            vec![FleetEvent::Server(sid(&id), Some(Stored { value: server(&id), created: 1, modified: 1 }))];
        let mut polled = sample(1, &[]);
        for at in 0..each {
            let (meeting, instance) = (format!("{at}-of-{id}"), format!("{id}x{at}-1"));
            polled.meetings.push(listed(&meeting, &instance));
            events.push(FleetEvent::Record(key(&meeting), stored(record(&id, &instance), 1)));
        }
        events.push(FleetEvent::Sample(sid(&id), Some(Stored { value: polled, created: 1, modified: 1 })));
        fleet.apply(number as u64 + 1, events, Instant::now());
    }
    fleet
}

fn page(fleet: &Fleet, token: &str) -> crate::grpc::page::ListPage<v1::Meeting> {
    let request = PageRequest::parse(100, token).expect("is a page");
    let after = request.after(meeting_of_token).expect("is our token");
    let list = fleet.records_after(None, None, after.as_ref());
    let show =
        |(key, stored): (&MeetingKey, &Stored<MeetingRecord>)| output::meeting(fleet, key, &stored.value);
    request.take(fleet.record_count(None, None), list, |(key, _)| key.to_string(), show)
}

#[test]
fn pages_of_meetings_cover_all_of_them_once() {
    let fleet = large(5, 90);
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let page = page(&fleet, &token);
        assert_eq!(page.total, 450);
        names.extend(page.items.into_iter().map(|meeting| meeting.name));
        token = page.next;
        if token.is_empty() {
            break;
        }
    }
    names.dedup();
    assert_eq!(names.len(), 450);
}

#[test]
fn a_token_names_a_meeting_or_a_zombie_whose_id_contains_slashes() {
    let zombie = zombie_of_token("default/a/b/bbb1").expect("is a zombie");
    assert_eq!((zombie.meeting.meeting.as_str(), zombie.server.as_str()), ("a/b", "bbb1"));
    assert_eq!(meeting_of_token("default/a/b").expect("is a meeting").meeting.as_str(), "a/b");
    assert!(meeting_of_token("default").is_none() && zombie_of_token("default/a").is_none());
}

/// Prints the time that a page holds the fleet's lock, and the time of a page that looks at every
/// record.
#[test]
#[ignore = "a measurement: it makes a fleet of 100,000 meetings"]
fn a_page_of_many_meetings_is_measured() {
    let fleet = large(20, 5000);
    let time = |turn: &dyn Fn()| {
        let start = Instant::now();
        (0..10).for_each(|_| turn());
        start.elapsed() / 10
    };
    let ordered = time(&|| assert_eq!(page(&fleet, "").items.len(), 100));
    let whole = time(&|| {
        let request = PageRequest::parse(100, "").expect("is a page");
        let show = |(key, stored): (&MeetingKey, &Stored<MeetingRecord>)| {
            output::meeting(&fleet, key, &stored.value)
        };
        assert_eq!(request.cut(fleet.records(), |(key, _)| key.to_string(), show).items.len(), 100);
    });
    println!("a page of 100 of 100,000 meetings: {ordered:?}; over all records: {whole:?}");
}
