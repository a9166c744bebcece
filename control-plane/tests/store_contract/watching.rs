//! Following the store.

use std::collections::BTreeMap;

use futures::{StreamExt, future::join_all};
use usher_control_plane::ports::{ChangeBatch, KeyChange, StoreEntry, WatchError};

use crate::subject::{Subject, commit, delete, list, next, put, short, within};

pub(crate) async fn whole_revisions_arrive_in_order_from_a_past_one(subject: &Subject) {
    let store = subject.store();
    let before = commit(&*store, vec![], vec![put("k/0", "before")]).await;
    let first = commit(&*store, vec![], vec![put("k/a", "1"), put("k/b", "1"), put("k/c", "1")]).await;
    let mut changes = store.watch("k/", before + 1).await.expect("watches");
    let second = commit(&*store, vec![], vec![delete("k/a"), put("k/b", "2")]).await;
    let batch = next(&mut changes).await;
    let one = Some(&b"1"[..]);
    assert_eq!(short(&batch), (first, vec![("k/a", one), ("k/b", one), ("k/c", one)]));
    let batch = next(&mut changes).await;
    assert_eq!(short(&batch), (second, vec![("k/a", None), ("k/b", Some(&b"2"[..]))]));
    let entry = batch.changes.iter().find_map(|change| match change {
        KeyChange::Put(entry) => Some(entry),
        KeyChange::Delete { .. } => None,
    });
    let StoreEntry { create_revision, mod_revision, .. } = entry.expect("a put");
    assert_eq!((*create_revision, *mod_revision), (first, second));
    // The same again, for a watcher that starts late.
    let mut late = store.watch("k/", first).await.expect("watches");
    assert_eq!(next(&mut late).await.revision, first);
    assert_eq!(next(&mut late).await.revision, second);
}

pub(crate) async fn a_watch_sees_its_prefix_alone(subject: &Subject) {
    let store = subject.store();
    let from = store.revision().await.expect("is read") + 1;
    let mut changes = store.watch("k/", from).await.expect("watches");
    commit(&*store, vec![], vec![put("j/1", "v"), put("k", "v"), put("k0", "v")]).await;
    let mixed = commit(&*store, vec![], vec![put("l/1", "v"), put("k/1", "v"), put("k", "v")]).await;
    assert_eq!(short(&next(&mut changes).await), (mixed, vec![("k/1", Some(&b"v"[..]))]));
}

pub(crate) async fn a_watch_of_the_future_starts_there(subject: &Subject) {
    let store = subject.store();
    let now = commit(&*store, vec![], vec![put("k/0", "v")]).await;
    let mut changes = store.watch("k/", now + 3).await.expect("watches");
    for key in ["k/1", "k/2", "k/3"] {
        commit(&*store, vec![], vec![put(key, "v")]).await;
    }
    assert_eq!(short(&next(&mut changes).await), (now + 3, vec![("k/3", Some(&b"v"[..]))]));
}

fn fold(state: &mut BTreeMap<String, StoreEntry>, batch: ChangeBatch) {
    for change in batch.changes {
        match change {
            KeyChange::Put(entry) => state.insert(entry.key.clone(), entry),
            KeyChange::Delete { key } => state.remove(&key),
        };
    }
}

pub(crate) async fn i9_watchers_fold_to_what_is_stored_under_concurrent_writers(subject: &Subject) {
    let store = subject.store();
    let writers = (0..6).map(|writer| {
        let store = subject.store();
        async move {
            for round in 0..20 {
                let mine = format!("k/{writer}/{}", round % 5);
                let shared = format!("k/shared/{}", (writer + round) % 3);
                let value = format!("{writer}.{round}");
                let write = if round % 4 == 3 { delete(&mine) } else { put(&mine, &value) };
                commit(&*store, vec![], vec![write, put(&shared, &value)]).await;
            }
        }
    });
    // One watcher starts at the beginning, another lists in the middle and continues from there.
    let from_start = async {
        let (mut state, mut last) = (BTreeMap::new(), 0);
        let mut changes = store.watch("k/", 1).await.expect("watches");
        loop {
            let batch = next(&mut changes).await;
            assert!(batch.revision > last, "in order, each revision once");
            last = batch.revision;
            let end =
                batch.changes.iter().any(|change| matches!(change, KeyChange::Put(e) if e.key == "k/end"));
            fold(&mut state, batch);
            if end {
                return state;
            }
        }
    };
    let from_listing = async {
        let listing = store.read_prefix("k/").await.expect("is read");
        let mut changes = store.watch("k/", listing.revision + 1).await.expect("watches");
        let mut state: BTreeMap<String, StoreEntry> =
            listing.entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
        while !state.contains_key("k/end") {
            fold(&mut state, next(&mut changes).await);
        }
        state
    };
    let write = async {
        join_all(writers).await;
        commit(&*store, vec![], vec![put("k/end", "v")]).await;
    };
    let (one, other, ()) = tokio::join!(from_start, from_listing, write);
    let stored: BTreeMap<String, StoreEntry> =
        list(&*store, "k/").await.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    assert_eq!(one, stored);
    assert_eq!(other, stored);
}

pub(crate) async fn history_that_is_gone_is_told_and_a_new_listing_goes_on(subject: &Subject) {
    let store = subject.store();
    let first = commit(&*store, vec![], vec![put("k/1", "1")]).await;
    for value in ["2", "3", "4"] {
        commit(&*store, vec![], vec![put("k/1", value)]).await;
    }
    subject.forget_history().await;
    let mut changes = store.watch("k/", first).await.expect("watches");
    let told = within("the end of the watch", changes.next()).await.expect("tells");
    let Err(WatchError::Compacted(kept)) = told else { panic!("{told:?}") };
    assert!(kept > first);
    assert!(changes.next().await.is_none(), "it is over");

    let listing = store.read_prefix("k/").await.expect("is read");
    let mut changes = store.watch("k/", listing.revision + 1).await.expect("watches");
    let later = commit(&*store, vec![], vec![put("k/1", "5")]).await;
    assert_eq!(next(&mut changes).await.revision, later);
}
