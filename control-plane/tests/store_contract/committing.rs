//! Guards, transactions and many writers.

use std::{collections::BTreeSet, sync::Arc};

use futures::future::join_all;
use usher_control_plane::{
    ports::{TxnVerdict, TxnWrite},
    store::{codec::StoreCodec, committer::GroupCommitter},
};
use usher_runtime::tasks::TaskGroup;

use crate::subject::{Subject, absent, commit, decide, delete, list, next, put, refused, txn, unchanged};

pub(crate) async fn guards_decide(subject: &Subject) {
    let store = subject.store();
    let store = &*store;
    refused(store, vec![unchanged("a", 0)], vec![put("a", "0")]).await;
    refused(store, vec![unchanged("a", 1)], vec![put("a", "0")]).await;
    let first = commit(store, vec![absent("a")], vec![put("a", "1")]).await;
    assert_eq!(refused(store, vec![absent("a")], vec![put("a", "2")]).await, first);
    refused(store, vec![unchanged("a", 0)], vec![put("a", "2")]).await;
    let second = commit(store, vec![unchanged("a", first), absent("b")], vec![put("a", "2")]).await;
    refused(store, vec![unchanged("a", first)], vec![put("a", "3")]).await;
    refused(store, vec![unchanged("a", second), unchanged("b", 1)], vec![put("a", "3")]).await;
    assert_eq!(&*list(store, "a").await[0].value, b"2");
    commit(store, vec![unchanged("a", second)], vec![delete("a"), put("b", "1")]).await;
    refused(store, vec![unchanged("a", second)], vec![put("a", "3")]).await;
    let again = commit(store, vec![absent("a")], vec![put("a", "4")]).await;
    assert_eq!(list(store, "a").await[0].create_revision, again);
}

pub(crate) async fn transactions_of_one_commit_are_decided_on_their_own_at_one_revision(subject: &Subject) {
    let store = subject.store();
    let taken = commit(&*store, vec![], vec![put("k/07", "taken"), put("k/33", "taken")]).await;
    let txns = (0..64)
        .map(|key| format!("k/{key:02}"))
        .map(|key| txn(vec![absent(&key), unchanged("k/33", taken)], vec![put(&key, "new")]));
    // A key that other transactions guard must not be written beside them.
    let txns: Vec<_> = txns.enumerate().filter(|(key, _)| *key != 33).map(|(_, txn)| txn).collect();
    let verdicts = store.commit(txns).await.expect("are decided");
    let revision = store.revision().await.expect("is read");
    assert!(revision > taken);
    for (index, verdict) in verdicts.iter().enumerate() {
        let expected =
            if index == 7 { TxnVerdict::Refused(revision) } else { TxnVerdict::Committed(revision) };
        assert_eq!(*verdict, expected, "{index}");
    }
    for entry in list(&*store, "k/").await {
        let old = entry.key == "k/07" || entry.key == "k/33";
        assert_eq!(entry.mod_revision, if old { taken } else { revision }, "{}", entry.key);
    }
}

pub(crate) async fn more_than_one_request_holds_is_committed_all_the_same(subject: &Subject) {
    let store = subject.store();
    let large = (0..100).map(|key| put(&format!("large/{key}"), "v")).collect();
    let small = (0..150).map(|key| txn(vec![], vec![put(&format!("small/{key}"), "v")]));
    let txns = small.chain([txn(vec![], large), txn(vec![absent("large/1")], vec![put("last", "v")])]);
    let verdicts = store.commit(txns.collect()).await.expect("are decided");
    assert_eq!(verdicts.len(), 152);
    assert_eq!(list(&*store, "small/").await.len(), 150);
    assert_eq!(list(&*store, "large/").await.len(), 100);
    assert_eq!(store.commit(vec![]).await.expect("nothing to do"), []);
}

pub(crate) async fn what_writes_nothing_makes_no_revision(subject: &Subject) {
    let store = subject.store();
    let at = commit(&*store, vec![], vec![put("a", "1")]).await;
    assert_eq!(commit(&*store, vec![unchanged("a", at)], vec![]).await, at);
    assert_eq!(store.revision().await.expect("is read"), at);
    // A transaction that deletes no key may attest a deletion; a watcher sees no change of the key.
    let mut changes = store.watch("b", at + 1).await.expect("is followed");
    commit(&*store, vec![], vec![delete("b")]).await;
    let put_at = commit(&*store, vec![], vec![put("b", "1")]).await;
    assert_eq!(next(&mut changes).await.revision, put_at);
}

pub(crate) async fn s15_of_many_that_create_one_key_one_wins(subject: &Subject) {
    let stores = [subject.store(), subject.store()];
    let creates = (0..100).map(|number| {
        let (store, value) = (&stores[number % 2], number.to_string());
        async move { (decide(&**store, vec![absent("m")], vec![put("m", &value)]).await, value) }
    });
    let results = join_all(creates).await;
    let winners: Vec<_> = results
        .iter()
        .filter_map(|(verdict, value)| match verdict.as_ref().expect("is decided") {
            TxnVerdict::Committed(_) => Some(value.as_bytes()),
            TxnVerdict::Refused(_) => None,
        })
        .collect();
    assert_eq!(winners, [&*list(&*stores[0], "m").await[0].value]);
}

pub(crate) async fn increments_by_concurrent_writers_are_never_lost(subject: &Subject) {
    const EACH: u32 = 15;
    commit(&*subject.store(), vec![], vec![put("count", "0")]).await;
    let stores = [subject.store(), subject.store(), subject.store(), subject.store()];
    let writers = stores.iter().map(|store| async move {
        let mut last = 0;
        for _ in 0..EACH {
            loop {
                let entry = list(&**store, "count").await.remove(0);
                let count: u32 = String::from_utf8_lossy(&entry.value).parse().expect("a number");
                let guard = unchanged("count", entry.mod_revision);
                let write = put("count", &(count + 1).to_string());
                match decide(&**store, vec![guard], vec![write]).await.expect("is decided") {
                    TxnVerdict::Committed(revision) => {
                        assert!(revision > last, "revisions grow");
                        last = revision;
                        break;
                    }
                    TxnVerdict::Refused(revision) => assert!(revision >= entry.mod_revision),
                }
            }
        }
    });
    join_all(writers).await;
    assert_eq!(&*list(&*stores[0], "count").await[0].value, (4 * EACH).to_string().as_bytes());
}

pub(crate) async fn the_committer_commits_each_once_and_together(subject: &Subject) {
    let (store, tasks) = (subject.store(), TaskGroup::new());
    let server = commit(&*store, vec![], vec![put("servers/s", "v")]).await;
    let committer = GroupCommitter::spawn(Arc::clone(&store), Arc::new(StoreCodec::new()), &tasks);
    let placements = (0..500).map(|number| {
        // Every id occurs twice; one transaction of each pair wins.
        let key = format!("meetings/t/{:03}", number / 2);
        let writes = vec![TxnWrite::Put(key.clone(), number.to_string().into())];
        committer.commit(txn(vec![unchanged("servers/s", server), absent(&key)], writes))
    });
    let verdicts = join_all(placements).await;
    let mut revisions = BTreeSet::new();
    for pair in verdicts.chunks(2) {
        let won: Vec<u64> = pair
            .iter()
            .filter_map(|verdict| match verdict.as_ref().expect("is decided") {
                TxnVerdict::Committed(revision) => Some(*revision),
                TxnVerdict::Refused(_) => None,
            })
            .collect();
        assert_eq!(won.len(), 1);
        revisions.extend(won);
    }
    assert_eq!(list(&*store, "meetings/").await.len(), 250);
    assert!(revisions.len() < 100, "250 placements took {} revisions", revisions.len());
    tasks.shutdown().await;
}
