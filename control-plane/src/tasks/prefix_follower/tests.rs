use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use futures::stream::BoxStream;

use super::*;
use crate::ports::{KeyChange, LeaderLease, StoreEntry, StoreTxn, TxnVerdict, WatchError};

/// The store's answer to one reading.
enum Answer {
    /// The store is at this revision.
    At(u64),
    /// The store is unreachable.
    Unreachable,
    /// The store takes this long, then is at this revision.
    Slow(Duration, u64),
}

/// A store that answers by a script, and never again after its end.
#[derive(Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    /// The times of the readings.
    read_at: Mutex<Vec<Instant>>,
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
        match answer {
            Some(Answer::At(revision)) => Ok(listing(revision)),
            Some(Answer::Unreachable) => Err(StoreError::Unavailable("no route".into())),
            Some(Answer::Slow(time, revision)) => {
                tokio::time::sleep(time).await;
                Ok(listing(revision))
            }
            None => std::future::pending().await,
        }
    }

    async fn watch(
        &self,
        _: &str,
        _: u64,
    ) -> Result<BoxStream<'static, Result<ChangeBatch, WatchError>>, StoreError> {
        panic!("only the fleet's follower watches the store")
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

/// Returns a feed whose watch is open after `revision`.
fn open_feed(revision: u64) -> ChangeFeed {
    let feed = ChangeFeed::default();
    feed.begin_anew(revision);
    feed
}

fn follow(feed: &ChangeFeed, store: &Arc<Scripted>) -> PrefixFollower {
    PrefixFollower::new(feed, Arc::clone(store) as Arc<dyn Store>, "k/")
}

#[tokio::test(start_paused = true)]
async fn all_entries_come_first_and_then_every_change() {
    let (store, begun) = (Scripted::new([Answer::At(5)]), clock::now());
    let feed = open_feed(4);
    let mut follower = follow(&feed, &store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    for revision in [5, 6, 9] {
        feed.hand_out(&batch(revision));
    }
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(6)), "the listing shows revision 5");
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(9)));
    assert_eq!(store.reads(), [begun]);
}

#[tokio::test(start_paused = true)]
async fn no_change_between_the_joining_and_the_listing_is_missed() {
    let store = Scripted::new([Answer::Slow(Duration::from_secs(3), 6)]);
    let feed = open_feed(4);
    let mut follower = follow(&feed, &store);
    let meanwhile = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for revision in [5, 6, 7] {
            feed.hand_out(&batch(revision));
        }
    };
    let (first, ()) = tokio::join!(follower.next(), meanwhile);
    assert_eq!(first, PrefixUpdate::All(listing(6)));
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(7)));
}

#[tokio::test(start_paused = true)]
async fn after_any_end_of_a_watch_everything_is_read_again() {
    let store = Scripted::new([5, 8, 9, 11].map(Answer::At));
    let feed = open_feed(5);
    let mut follower = follow(&feed, &store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    feed.hand_out(&batch(6));
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(6)));
    feed.begin_anew(7); // the watch was compacted
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(8)));
    feed.hand_out(&batch(9));
    feed.begin_anew(9); // lost: changes that still wait are read
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(9)));
    feed.begin_anew(10);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(11)));
    feed.hand_out(&batch(12));
    assert_eq!(follower.next().await, PrefixUpdate::Changed(batch(12)));
    for pair in store.reads().windows(2) {
        let pause = pair[1] - pair[0];
        assert!(pause > Duration::ZERO && pause < Duration::from_millis(60), "{pause:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_listing_without_a_watch_is_not_returned() {
    let (store, feed) = (Scripted::new([Answer::At(5)]), ChangeFeed::default());
    let mut follower = follow(&feed, &store);
    let early = tokio::time::timeout(Duration::from_mins(1), follower.next()).await;
    assert!(early.is_err() && store.reads().is_empty());
    feed.begin_anew(4);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_store_is_retried_with_growing_pauses() {
    let mut answers: Vec<Answer> = (0..13).map(|_| Answer::Unreachable).collect();
    answers.extend([4, 5].map(Answer::At));
    let (store, feed) = (Scripted::new(answers), open_feed(1));
    let mut follower = follow(&feed, &store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(4)));
    feed.begin_anew(4);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    let reads = store.reads();
    let pauses: Vec<Duration> = reads.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(pauses[0] < Duration::from_millis(60), "{pauses:?}");
    assert!(pauses[12] > Duration::from_secs(2) && pauses[12] < Duration::from_secs(6), "{pauses:?}");
    assert!(pauses[13] < Duration::from_millis(60), "it began anew after the answer: {pauses:?}");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_never_answers_is_retried() {
    let store = Scripted::new([Answer::Slow(READ_WITHIN * 10, 4), Answer::At(5)]);
    let mut follower = follow(&open_feed(1), &store);
    assert_eq!(follower.next().await, PrefixUpdate::All(listing(5)));
    let reads = store.reads();
    assert!(reads[1] - reads[0] > READ_WITHIN && reads[1] - reads[0] < READ_WITHIN * 2, "{reads:?}");
}

/// A caller polls the follower between two ticks of a clock. A reading that takes longer succeeds
/// all the same, and a caller stops by dropping the follower.
#[tokio::test(start_paused = true)]
async fn a_dropped_call_continues_at_the_next_one() {
    let store = Scripted::new([Answer::Unreachable, Answer::Slow(Duration::from_secs(3), 4), Answer::At(5)]);
    let (mut follower, mut turns) = (follow(&open_feed(1), &store), 0);
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
