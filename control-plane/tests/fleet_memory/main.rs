//! The memory of a control plane for each meeting: a fleet is read from stored values, as a replica
//! that starts reads it, and the bytes that stay allocated are counted. The count differs by less
//! than a byte between two runs. The allocator's rounding, and the memory that it keeps for itself,
//! come on top of it in a running program.

mod counted_bytes;
mod stored_fleet;

use std::time::Instant;

use usher_control_plane::{
    core::{fleet::Fleet, policy::Policy},
    ports::{KeyChange, StoreEntry},
    store::codec::{SharedIds, StoreCodec},
};

use self::stored_fleet::{MEETINGS, SERVERS};

/// The most bytes for a meeting that has a record, a route and a place in its server's sample.
const MOST_FOR_EACH: usize = 720;

/// The most bytes for a meeting while a listing is read, the stored values included.
const MOST_WHILE_READING: usize = 950;

/// The number of entries that a replica reads at once.
const PART: usize = 4_096;

#[test]
fn a_meeting_takes_few_bytes() {
    let codec = StoreCodec::new();
    let before = counted_bytes::live();
    let listing = stored_fleet::listing(&codec);
    counted_bytes::take_peak();

    let revision = listing.revision;
    let (mut fleet, mut ids) = (Fleet::new(7, Policy::default()), SharedIds::default());
    let mut entries = listing.entries.into_iter();
    loop {
        let part: Vec<StoreEntry> = entries.by_ref().take(PART).collect();
        let (events, bad) = codec.events(&part, &mut ids);
        assert!(bad.is_empty(), "{bad:?}");
        drop(fleet.apply(revision, events, Instant::now()));
        if part.is_empty() {
            break;
        }
    }
    drop((ids, entries));
    let (held, peak) = (counted_bytes::live() - before, counted_bytes::take_peak() - before);
    assert_eq!((fleet.records().len(), fleet.routing().meeting_count()), (MEETINGS, MEETINGS));
    let (each, peak) = (held / MEETINGS, peak / MEETINGS);
    println!("a meeting takes {each} bytes, and at most {peak} while the listing is read");
    assert!(each <= MOST_FOR_EACH, "a meeting takes {each} bytes after a listing");
    assert!(peak <= MOST_WHILE_READING, "a meeting takes {peak} bytes while the listing is read");

    // Each server is polled again, and each record is written again.
    for server in 0..SERVERS {
        let sample = KeyChange::Put(stored_fleet::sample(&codec, server, revision + 1));
        let event = codec.event(&sample).expect("is readable");
        drop(fleet.apply(revision + 1, event, Instant::now()));
    }
    for meeting in 0..MEETINGS {
        let record = KeyChange::Put(stored_fleet::record(&codec, meeting, revision + 2));
        let event = codec.event(&record).expect("is readable");
        drop(fleet.apply(revision + 2, event, Instant::now()));
    }
    let each = (counted_bytes::live() - before) / MEETINGS;
    println!("a meeting takes {each} bytes after changes");
    assert!(each <= MOST_FOR_EACH, "a meeting takes {each} bytes after changes");
}
