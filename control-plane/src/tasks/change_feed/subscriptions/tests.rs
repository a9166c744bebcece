use std::collections::BTreeMap;

use bytes::Bytes;
use proptest::{collection::vec, prelude::*};

use super::*;
use crate::ports::StoreEntry;

/// The prefixes of the test; the first one contains the third.
const PREFIXES: [&str; 3] = ["a/", "b/", "a/x"];

fn put(key: &str, revision: u64, size: usize) -> KeyChange {
    let (key, value) = (key.to_owned(), Bytes::from(vec![0; size]));
    KeyChange::Put(StoreEntry { key, value, create_revision: revision, mod_revision: revision })
}

fn batch(revision: u64, keys: &[&str]) -> ChangeBatch {
    let changes = keys.iter().map(|key| put(key, revision, 1)).collect();
    ChangeBatch { revision, changes, attested: true }
}

/// Returns a subscriber that has joined and read at revision 1.
fn joined(all: &mut Subscriptions, prefix: &str) -> SubscriberId {
    let id = all.enter(prefix);
    assert!(all.join(id));
    all.has_read(id, 1);
    id
}

fn open() -> Subscriptions {
    let mut all = Subscriptions::default();
    all.begin_anew(1);
    all
}

#[test]
fn a_revision_stays_whole_for_each_subscriber_and_keeps_its_attestation() {
    let mut all = open();
    let [a, b, other] = ["a/", "b/", "c/"].map(|prefix| joined(&mut all, prefix));
    assert_eq!(all.hand_out(&batch(2, &["a/1", "b/1", "a/2"])), [a, b]);
    assert_eq!(all.next(a), Some(QueuedItem::Changed(batch(2, &["a/1", "a/2"]))));
    assert_eq!(all.next(b), Some(QueuedItem::Changed(batch(2, &["b/1"]))));
    assert_eq!([a, b, other].map(|id| all.next(id)), [None, None, None]);
}

#[test]
fn a_subscriber_joins_only_an_open_watch() {
    let mut all = Subscriptions::default();
    let id = all.enter("a/");
    assert!(!all.join(id));
    assert_eq!(all.next(id), Some(QueuedItem::Lapsed));
    all.begin_anew(4);
    assert!(all.join(id));
    assert_eq!(all.next(id), None);
}

#[test]
fn a_change_between_the_joining_and_the_reading_is_in_one_of_them() {
    let mut all = open();
    let id = all.enter("a/");
    assert!(all.join(id));
    all.hand_out(&batch(2, &["a/1"]));
    all.hand_out(&batch(4, &["a/2"]));
    all.has_read(id, 3);
    assert_eq!(all.next(id), Some(QueuedItem::Changed(batch(4, &["a/2"]))));
    // The reading may also be ahead of the watch.
    all.has_read(id, 6);
    assert!(all.hand_out(&batch(5, &["a/1"])).is_empty());
    assert_eq!(all.hand_out(&batch(7, &["a/1"])), [id]);
    assert_eq!(all.next(id), Some(QueuedItem::Changed(batch(7, &["a/1"]))));
}

#[test]
fn a_reading_of_a_store_that_was_set_back_does_not_count() {
    let mut all = open();
    all.hand_out(&batch(9, &["b/1"]));
    let id = all.enter("a/");
    assert!(all.join(id));
    all.has_read(id, 8);
    assert_eq!(all.next(id), Some(QueuedItem::Lapsed));
}

#[test]
fn a_slow_subscriber_lapses_alone_and_its_queue_is_bounded() {
    let mut all = open();
    let (slow, quick) = (joined(&mut all, "a/"), joined(&mut all, "a/"));
    for revision in 2..2 + MOST_BATCHES as u64 {
        all.hand_out(&batch(revision, &["a/1"]));
        assert!(matches!(all.next(quick), Some(QueuedItem::Changed(_))));
    }
    assert_eq!(all.subscribers[&slow].waiting.len(), MOST_BATCHES);
    assert_eq!(all.hand_out(&batch(10_000, &["a/1"])), [slow, quick], "it wakes to read again");
    assert_eq!(all.next(slow), Some(QueuedItem::Lapsed));
    assert_eq!(all.subscribers[&slow].waiting.capacity(), 0);
    assert!(matches!(all.next(quick), Some(QueuedItem::Changed(_))));
    assert!(all.join(slow));
    assert_eq!(all.next(slow), None);
}

#[test]
fn bytes_are_bounded_unless_one_revision_is_larger() {
    let mut all = open();
    let id = joined(&mut all, "a/");
    let large =
        |revision, size| ChangeBatch { revision, changes: vec![put("a/1", revision, size)], attested: false };
    all.hand_out(&large(2, MOST_BYTES * 2));
    assert!(matches!(all.next(id), Some(QueuedItem::Changed(_))));
    all.hand_out(&large(3, MOST_BYTES / 2));
    all.hand_out(&large(4, MOST_BYTES / 2));
    assert_eq!(all.next(id), Some(QueuedItem::Lapsed));
}

#[test]
fn every_subscriber_lapses_when_the_watch_begins_anew() {
    let mut all = open();
    let id = joined(&mut all, "a/");
    all.hand_out(&batch(2, &["a/1"]));
    all.begin_anew(7);
    assert_eq!(all.next(id), Some(QueuedItem::Lapsed));
    assert!(all.hand_out(&batch(8, &["a/1"])).is_empty(), "it joins first");
    all.leave(id);
    assert!(all.subscribers.is_empty());
}

/// A step of a random schedule. Subscribers are numbered.
#[derive(Debug, Clone)]
enum Step {
    /// The store writes these keys in one revision.
    Write(Vec<usize>),
    /// The watch shows the next revision.
    Watch,
    /// The watch is lost, and begins anew at the store's present revision.
    Lose,
    Join(usize),
    Read(usize),
    Next(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let subscriber = 0..PREFIXES.len();
    prop_oneof![
        4 => vec(0..KEYS.len(), 1..4).prop_map(Step::Write),
        4 => Just(Step::Watch),
        1 => Just(Step::Lose),
        2 => subscriber.clone().prop_map(Step::Join),
        2 => subscriber.clone().prop_map(Step::Read),
        6 => subscriber.prop_map(Step::Next),
    ]
}

const KEYS: [&str; 5] = ["a/1", "a/x1", "a/x2", "b/1", "c/1"];

/// The subscriber of the model: the keys that it knows, with the revisions of their values.
#[derive(Debug, Default)]
struct Reader {
    known: BTreeMap<String, u64>,
    /// The revision up to which it knows all; `None` while it must join and read.
    at: Option<u64>,
    has_joined: bool,
}

/// The store of the model: each revision with its keys.
#[derive(Debug, Default)]
struct Written(Vec<ChangeBatch>);

impl Written {
    fn revision(&self) -> u64 {
        1 + self.0.len() as u64
    }

    fn write(&mut self, keys: &[usize]) {
        let mut keys: Vec<&str> = keys.iter().map(|key| KEYS[*key]).collect();
        keys.sort_unstable();
        keys.dedup();
        self.0.push(batch(self.revision() + 1, &keys));
    }

    /// Returns the entries below a prefix at a revision.
    fn below(&self, prefix: &str, revision: u64) -> BTreeMap<String, u64> {
        let past = self.0.iter().filter(|batch| batch.revision <= revision);
        let keys = past.flat_map(|batch| batch.changes.iter().map(|change| (key(change), batch.revision)));
        keys.filter(|(key, _)| key.starts_with(prefix)).map(|(key, at)| (key.to_owned(), at)).collect()
    }
}

/// Takes the next item of a reader and checks that it misses no change and sees none twice.
fn take(
    all: &mut Subscriptions,
    id: SubscriberId,
    prefix: &str,
    reader: &mut Reader,
    store: &Written,
) -> Result<bool, TestCaseError> {
    match (all.next(id), reader.at) {
        (Some(QueuedItem::Changed(batch)), Some(at)) => {
            prop_assert!(batch.revision > at, "revision {} after {at}", batch.revision);
            let before = batch.revision - 1;
            prop_assert_eq!(&reader.known, &store.below(prefix, before), "a change was missed");
            reader.known.extend(batch.changes.iter().map(|change| (key(change).to_owned(), batch.revision)));
            prop_assert_eq!(&reader.known, &store.below(prefix, batch.revision), "its part is whole");
            reader.at = Some(batch.revision);
            Ok(true)
        }
        (Some(QueuedItem::Changed(_)), None) => Ok(false), // it has joined, and reads next
        (Some(QueuedItem::Lapsed), _) => {
            *reader = Reader::default();
            Ok(false)
        }
        (None, _) => Ok(false),
    }
}

proptest! {
    #[test]
    fn every_subscriber_sees_each_change_once_and_in_order_or_reads_again(steps in vec(step(), 0..120)) {
        let (mut all, mut store, mut seen) = (open(), Written::default(), 1);
        let ids = PREFIXES.map(|prefix| all.enter(prefix));
        let mut readers: [Reader; PREFIXES.len()] = Default::default();
        // In the end the watch shows everything, and every subscriber joins, reads and takes all.
        let end = (0..PREFIXES.len()).flat_map(|of| {
            [Step::Next(of), Step::Join(of), Step::Read(of)].into_iter().chain((0..130).map(move |_| Step::Next(of)))
        });
        let shown = (0..120).map(|_| Step::Watch);
        for step in steps.into_iter().chain(shown).chain(end) {
            match step {
                Step::Write(keys) => store.write(&keys),
                Step::Watch if seen < store.revision() => {
                    all.hand_out(&store.0[usize::try_from(seen - 1).unwrap()]);
                    seen += 1;
                }
                Step::Watch => {}
                Step::Lose => {
                    seen = store.revision();
                    all.begin_anew(seen);
                }
                Step::Join(of) if readers[of].at.is_none() => readers[of].has_joined = all.join(ids[of]),
                Step::Join(_) => {}
                Step::Read(of) if readers[of].has_joined && readers[of].at.is_none() => {
                    let at = store.revision();
                    all.has_read(ids[of], at);
                    readers[of] = Reader { known: store.below(PREFIXES[of], at), at: Some(at), has_joined: true };
                }
                Step::Read(_) => {}
                // Only a subscriber that has read takes items.
                Step::Next(of) if readers[of].at.is_some() => {
                    take(&mut all, ids[of], PREFIXES[of], &mut readers[of], &store)?;
                }
                Step::Next(_) => {}
            }
        }
        for (reader, prefix) in readers.iter().zip(PREFIXES) {
            prop_assert_eq!(reader.at.is_some(), true);
            prop_assert_eq!(&reader.known, &store.below(prefix, store.revision()));
        }
    }
}
