use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::stream;

use super::*;
use crate::ports::{KeyChange, LeaderLease, StoreEntry, StoreTxn, TxnVerdict};

/// The store's answer to one reading.
enum Answer {
    /// The store is at this revision. Its watch sends these items and then stays open.
    Open(u64, Vec<Result<ChangeBatch, WatchError>>),
    /// Like [`Answer::Open`], but the watch ends without an item.
    Ends(u64),
    /// The store is unreachable.
    Unreachable,
    /// The store is readable, but not watchable.
    Blind(u64),
    /// The store takes this long, then is at this revision.
    Slow(Duration, u64),
}

/// A store that answers by a script, and never again after its end.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    /// The times of the readings.
    read_at: Mutex<Vec<Instant>>,
    /// The next watch; `None` if it fails.
    watch: Mutex<Option<Changes>>,
    /// The revisions from which the store was watched.
    watched_from: Mutex<Vec<u64>>,
}

impl Scripted {
    fn new(answers: impl IntoIterator<Item = Answer>) -> Arc<Self> {
        Arc::new(Self { answers: Mutex::new(answers.into_iter().collect()), ..Self::default() })
    }

    fn reads(&self) -> Vec<Instant> {
        lock(&self.read_at).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unused<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("not part of this test".into()))
}

#[async_trait]
impl Store for Scripted {
    async fn read_prefix(&self, prefix: &str) -> Result<StoreListing, StoreError> {
        assert_eq!(prefix, "k/");
        lock(&self.read_at).push(clock::now());
        let answer = lock(&self.answers).pop_front();
        let (revision, watch) = match answer {
            Some(Answer::Open(revision, told)) => {
                (revision, Some(stream::iter(told).chain(stream::pending()).boxed()))
            }
            Some(Answer::Ends(revision)) => (revision, Some(stream::empty().boxed())),
            Some(Answer::Unreachable) => return Err(StoreError::Unavailable("no route".into())),
            Some(Answer::Blind(revision)) => (revision, None),
            Some(Answer::Slow(time, revision)) => {
                tokio::time::sleep(time).await;
                (revision, Some(stream::pending().boxed()))
            }
            None => std::future::pending().await,
        };
        *lock(&self.watch) = watch;
        Ok(listing(revision))
    }

    async fn watch(&self, prefix: &str, from: u64) -> Result<Changes, StoreError> {
        assert_eq!(prefix, "k/");
        lock(&self.watched_from).push(from);
        lock(&self.watch).take().map_or_else(unused, Ok)
    }

    async fn revision(&self) -> Result<u64, StoreError> {
        unused()
    }
    async fn commit(&self, _: Vec<StoreTxn>) -> Result<Vec<TxnVerdict>, StoreError> {
        unused()
    }
    async fn compact(&self, _: u64) -> Result<(), StoreError> {
        unused()
    }

    async fn space(&self) -> Result<crate::core::upkeep::StoreSpace, StoreError> {
        unused()
    }

    async fn cluster_id(&self) -> Result<u64, StoreError> {
        unused()
    }
    async fn campaign(&self, _: &str, _: Duration) -> Result<Box<dyn LeaderLease>, StoreError> {
        unused()
    }
    async fn leader(&self) -> Result<Option<String>, StoreError> {
        unused()
    }
}

/// Returns the listing at a revision: one key, written at that revision.
fn listing(revision: u64) -> StoreListing {
    let entry = StoreEntry {
        key: format!("k/{revision}"),
        value: "v".into(),
        create_revision: revision,
        mod_revision: revision,
    };
    StoreListing { revision, entries: vec![entry] }
}

fn batch(revision: u64) -> ChangeBatch {
    ChangeBatch {
        revision,
        changes: vec![KeyChange::Delete { key: format!("k/{revision}") }],
        attested: false,
    }
}

fn follow(store: &Arc<Scripted>) -> PrefixFollower {
    PrefixFollower::new(Arc::clone(store) as Arc<dyn Store>, "k/")
}

#[tokio::test(start_paused = true)]
async fn all_entries_come_first_and_then_every_change() {
    let (store, begun) = (Scripted::new([Answer::Open(5, vec![Ok(batch(6)), Ok(batch(9))])]), clock::now());
    let mut follower = follow(&store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(6)));
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(9)));
    assert_eq!(*lock(&store.watched_from), [6], "no change between the listing and the watch is missed");
    assert_eq!(store.reads(), [begun]);
}

#[tokio::test(start_paused = true)]
async fn after_any_end_of_a_watch_everything_is_read_again() {
    let store = Scripted::new([
        Answer::Open(5, vec![Ok(batch(6)), Err(WatchError::Compacted(7))]),
        Answer::Open(8, vec![Err(WatchError::Lost("reset".into())), Ok(batch(9))]),
        Answer::Ends(10),
        Answer::Open(11, vec![]),
    ]);
    let mut follower = follow(&store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(6)));
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(8)));
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(10)), "a lost watch sends no item");
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(11)));
    assert_eq!(*lock(&store.watched_from), [6, 9, 11, 12]);
    for pair in store.reads().windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause > Duration::ZERO && pause < Duration::from_millis(60), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_store_is_retried_with_growing_pauses() {
    let mut answers: Vec<Answer> = (0..12).map(|_| Answer::Unreachable).collect();
    answers.extend([Answer::Blind(3), Answer::Ends(4), Answer::Open(5, vec![])]);
    let store = Scripted::new(answers);
    let mut follower = follow(&store);
    assert_eq!(
        follower.next().await,
        PrefixUpdate::All(listing(4)),
        "a listing without a watch is not returned"
    );
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    let reads = store.reads();
    let pauses: Vec<Duration> = reads.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] < Duration::from_millis(60), "{pauses:?}");
    assert!(pauses[12] > Duration::from_secs(2) && pauses[12] < Duration::from_secs(6), "{pauses:?}");
    assert!(pauses[13] < Duration::from_millis(60), "it began anew after the answer: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_retried() {
    let store = Scripted::new([Answer::Slow(READ_WITHIN * 10, 4), Answer::Open(5, vec![])]);
    let mut follower = follow(&store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    let reads = store.reads();
    assert!(reads[1] - reads[0] > READ_WITHIN && reads[1] - reads[0] < READ_WITHIN * 2, "{reads:?}");
}

/// A caller polls the follower between two ticks of a clock. A reading that takes longer succeeds
/// all the same, and a caller stops by dropping the follower.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_continues_at_the_next_one() {
    let store = Scripted::new([
        Answer::Unreachable,
        Answer::Slow(Duration::from_secs(3), 4),
        Answer::Open(5, vec![Ok(batch(6))]),
    ]);
    let (mut follower, mut turns) = (follow(&store), 0);
    let news = loop {
        tokio::select! {
            news = follower.next() => break news,
            () = tokio::time::sleep(Duration::from_millis(10)) => turns += 1,
        }
    };
    assert_eq!(news, PrefixUpdate::All(listing(4)));
    assert!(turns >= 300, "the caller was kept waiting: {turns}");
    assert_eq!(store.reads().len(), 2, "a dropped call does not restart the reading");
    drop(follower);
    tokio::time::advance(READ_WITHIN * 4).await;
    assert_eq!(store.reads().len(), 2, "a dropped follower reads no more");
}
