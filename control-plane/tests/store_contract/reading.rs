//! Listings and revisions.

use std::sync::Arc;

use tokio::sync::mpsc;
use usher_control_plane::ports::{Store, StoreListing};

use crate::subject::{Subject, commit, list, put, txn};

pub(crate) async fn an_empty_store_lists_nothing(subject: &Subject) {
    let store = subject.store();
    let listing = store.read_prefix("").await.expect("is read");
    assert!(listing.entries.is_empty());
    assert_eq!(store.revision().await.expect("is read"), listing.revision);
    assert_eq!(store.leader().await.expect("is read"), None);
}

pub(crate) async fn an_empty_store_hands_out_a_part_that_tells_its_revision(subject: &Subject) {
    let store = subject.store();
    let parts = parts(store.clone(), "", async |_| {}).await;
    assert!(!parts.is_empty() && parts.iter().all(|part| part.entries.is_empty()));
    let revision = store.revision().await.expect("is read");
    assert!(parts.iter().all(|part| part.revision == revision), "{parts:?}");
}

pub(crate) async fn the_parts_of_a_listing_are_its_entries_at_one_revision(subject: &Subject) {
    let store = subject.store();
    fill(&*store).await;
    let listing = store.read_prefix("k/").await.expect("is read");
    let write = async |part: usize| {
        if part == 0 {
            commit(&*store, vec![], vec![put("k/0000", "later"), put("k/9999", "later")]).await;
        }
    };
    let parts = parts(store.clone(), "k/", write).await;
    assert!(parts.iter().all(|part| part.revision == listing.revision), "one revision");
    let entries: Vec<_> = parts.into_iter().flat_map(|part| part.entries).collect();
    assert_eq!(entries, listing.entries);
}

/// Returns the parts of a listing, and awaits `meanwhile` with the number of each.
async fn parts(
    store: Arc<dyn Store>,
    prefix: &'static str,
    meanwhile: impl AsyncFn(usize),
) -> Vec<StoreListing> {
    let (sender, mut receiver) = mpsc::channel(1);
    let reading = tokio::spawn(async move { store.read_parts(prefix, sender).await });
    let mut parts = Vec::new();
    while let Some(part) = receiver.recv().await {
        meanwhile(parts.len()).await;
        parts.push(part);
    }
    reading.await.expect("ends").expect("is read");
    parts
}

pub(crate) async fn entries_are_listed_with_the_revisions_that_made_them(subject: &Subject) {
    let store = subject.store();
    let first = commit(&*store, vec![], vec![put("servers/a", "1"), put("servers/b", "1")]).await;
    let second = commit(&*store, vec![], vec![put("servers/a", "2")]).await;
    assert!(second > first);
    assert_eq!(store.newest_change("servers/").await.expect("is read"), second);
    assert_eq!(store.newest_change("servers/b").await.expect("is read"), first);
    assert_eq!(store.newest_change("other/").await.expect("is read"), 0);
    let found = list(&*store, "servers/").await;
    let found: Vec<_> =
        found.iter().map(|e| (&*e.key, &*e.value, e.create_revision, e.mod_revision)).collect();
    assert_eq!(found, [("servers/a", &b"2"[..], first, second), ("servers/b", &b"1"[..], first, first)]);
    assert_eq!(store.revision().await.expect("is read"), second);
}

pub(crate) async fn a_prefix_lists_what_starts_with_it_and_nothing_else(subject: &Subject) {
    let store = subject.store();
    let keys =
        ["server", "servers", "servers/", "servers/a", "servers/a/b", "servers0", "t", "servers/\u{fe}"];
    commit(&*store, vec![], keys.iter().map(|key| put(key, "v")).collect()).await;
    let mut expected: Vec<&str> = keys.into_iter().filter(|key| key.starts_with("servers/")).collect();
    expected.sort_unstable();
    let found = list(&*store, "servers/").await;
    assert_eq!(found.iter().map(|entry| &*entry.key).collect::<Vec<_>>(), expected);
    assert_eq!(list(&*store, "").await.len(), keys.len());
}

pub(crate) async fn a_large_listing_is_complete(subject: &Subject) {
    let store = subject.store();
    fill(&*store).await;
    let listing = store.read_prefix("k/").await.expect("is read");
    let expected: Vec<String> = (0..1250).map(|key| format!("k/{key:04}")).collect();
    assert_eq!(listing.entries.iter().map(|entry| entry.key.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(listing.revision, store.revision().await.expect("is read"));
}

/// Writes more entries than the first page of a listing has.
async fn fill(store: &dyn Store) {
    for block in 0..25 {
        let writes =
            (0..50).map(|key| put(&format!("k/{:04}", block * 50 + key), &"v".repeat(100))).collect();
        store.commit(vec![txn(vec![], writes)]).await.expect("is committed");
    }
}

pub(crate) async fn handles_of_one_cluster_agree_on_its_id(subject: &Subject) {
    let (one, other) = (subject.store(), subject.store());
    let id = one.cluster_id().await.expect("is read");
    assert_eq!(other.cluster_id().await.expect("is read"), id);
    assert_ne!(id, 0);
}
