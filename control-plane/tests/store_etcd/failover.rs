//! Nodes that die or hang.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::StreamExt;
use usher_control_plane::ports::{Store, StoreError, TxnGuard, TxnVerdict, WatchError};
use usher_harness::{etcd::EtcdCluster, wait};

use crate::fixture::{SLACK, bounded, commit, create, store_on};

/// Longest time of one attempt of a write at one of several nodes.
const ATTEMPT: Duration = Duration::from_millis(800);

/// Creates keys one after the other until stopped, and returns the result of each.
async fn create_many(
    store: &dyn Store,
    name: &str,
    count: usize,
) -> Vec<(String, Result<TxnVerdict, StoreError>)> {
    let mut results = Vec::new();
    for number in 0..count {
        let key = format!("{name}/{number:03}");
        let result = bounded(commit(store, create(&key))).await;
        results.push((key, result));
    }
    results
}

fn committed(results: &[(String, Result<TxnVerdict, StoreError>)]) -> Vec<&str> {
    results
        .iter()
        .filter(|(_, r)| matches!(r, Ok(TxnVerdict::Committed(_))))
        .map(|(key, _)| key.as_str())
        .collect()
}

/// Checks that committed keys exist and that certainly uncommitted ones do not.
async fn check_outcomes(store: &dyn Store, name: &str, results: &[(String, Result<TxnVerdict, StoreError>)]) {
    let stored: Vec<String> =
        store.read_prefix(name).await.expect("is read").entries.into_iter().map(|entry| entry.key).collect();
    for (key, result) in results {
        match result {
            Ok(TxnVerdict::Committed(_)) => assert!(stored.contains(key), "{key} is lost"),
            Err(StoreError::Unknown(_)) => {}
            other => assert!(!stored.contains(key), "{key} stands in spite of {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_when_one_of_three_endpoints_dies() {
    let mut cluster = EtcdCluster::start(3).await.expect("etcd");
    let follower = (cluster.leader().await.expect("leads") + 1) % 3;
    let store = store_on(&cluster, follower);
    create_many(&*store, "before", 5).await;
    cluster.kill(follower).expect("dies");
    let results = create_many(&*store, "after", 30).await;
    // The call that meets the broken connection has an unknown outcome; no other call is disturbed.
    assert!(committed(&results).len() >= 29, "{results:?}");
    check_outcomes(&*store, "after", &results).await;
    for _ in 0..30 {
        bounded(store.revision()).await.expect("reads go on");
    }
    cluster.restart(follower).await.expect("comes back");
    cluster.kill((follower + 1) % 3).expect("dies");
    wait::until("writes over the node that came back", || async {
        let mine = rand::random::<u64>().to_string();
        commit(&*store, create(&mine)).await.map(drop).map_err(Into::into)
    })
    .await
    .expect("it is used again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_pause_and_go_on_when_the_etcd_leader_dies() {
    let mut cluster = EtcdCluster::start(3).await.expect("etcd");
    let leader = cluster.leader().await.expect("leads");
    let store = store_on(&cluster, (leader + 1) % 3);
    create_many(&*store, "before", 5).await;
    cluster.kill(leader).expect("dies");
    let died = Instant::now();
    let mut results = Vec::new();
    while died.elapsed() < Duration::from_secs(15) {
        let key = format!("after/{:03}", results.len());
        let result = bounded(commit(&*store, create(&key))).await;
        let done = matches!(result, Ok(TxnVerdict::Committed(_)));
        results.push((key, result));
        if done {
            break;
        }
    }
    assert_eq!(committed(&results).len(), 1, "{results:?}");
    println!("writes paused {:?}: {results:?}", died.elapsed());
    check_outcomes(&*store, "after", &results).await;
    let more = create_many(&*store, "more", 20).await;
    assert_eq!(committed(&more).len(), 20, "{more:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c2_x5_a_frozen_node_costs_one_attempt_once() {
    let cluster = EtcdCluster::start(3).await.expect("etcd");
    let follower = (cluster.leader().await.expect("leads") + 1) % 3;
    let (writer, reader) = (store_on(&cluster, follower), store_on(&cluster, follower));
    commit(&*writer, create("before")).await.expect("is committed");
    reader.revision().await.expect("is read");
    cluster.freeze(follower).expect("hangs");

    let frozen = Instant::now();
    reader.revision().await.expect("a read is sent elsewhere too");
    assert!(frozen.elapsed() < SLACK, "the read took {:?}", frozen.elapsed());
    let started = Instant::now();
    let lost = commit(&*writer, create("k")).await;
    assert!(matches!(lost, Err(StoreError::Unknown(_))), "a write may have been done: {lost:?}");
    assert!(started.elapsed() < ATTEMPT + SLACK / 2, "the write took {:?}", started.elapsed());
    for store in [&writer, &reader] {
        let started = Instant::now();
        store.revision().await.expect("is read");
        commit(&**store, create(&rand::random::<u64>().to_string())).await.expect("is committed");
        assert!(started.elapsed() < ATTEMPT, "the frozen node is not asked again");
    }
    cluster.thaw(follower).expect("goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_on_a_frozen_node_ends_and_goes_on_elsewhere_without_a_gap() {
    let cluster = EtcdCluster::start(3).await.expect("etcd");
    let follower = (cluster.leader().await.expect("leads") + 1) % 3;
    let (watcher, writer) = (store_on(&cluster, follower), store_on(&cluster, follower + 1));
    let mut changes = watcher.watch("k/", 1).await.expect("watches");
    commit(&*writer, create("k/1")).await.expect("is committed");
    let first = changes.next().await.expect("tells").expect("goes on");
    assert!(
        tokio::time::timeout(SLACK, changes.next()).await.is_err(),
        "a quiet watch goes on while its endpoint gives signs of life"
    );

    cluster.freeze(follower).expect("hangs");
    commit(&*writer, create("k/2")).await.expect("is committed");
    let frozen = Instant::now();
    let end = tokio::time::timeout(Duration::from_secs(15), changes.next()).await.expect("in time");
    assert!(matches!(end, Some(Err(WatchError::Lost(_)))), "{end:?}");
    // The silence that raises a doubt and the wait for a sign of life take a second together; the
    // first sign of a new watch is waited for longer.
    assert!(frozen.elapsed() < ATTEMPT + SLACK, "took {:?}", frozen.elapsed());
    let mut changes = watcher.watch("k/", first.revision + 1).await.expect("watches elsewhere");
    let second = changes.next().await.expect("tells").expect("goes on");
    assert_eq!(second.revision, first.revision + 1);
    cluster.thaw(follower).expect("goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_on_a_node_that_dies_ends_and_goes_on_elsewhere_without_a_gap() {
    let mut cluster = EtcdCluster::start(3).await.expect("etcd");
    let follower = (cluster.leader().await.expect("leads") + 1) % 3;
    let (watcher, writer) = (store_on(&cluster, follower), store_on(&cluster, follower + 1));
    let (mut seen, mut from) = (Vec::new(), 1);
    let writing = tokio::spawn({
        let writer = Arc::clone(&writer);
        async move { create_many(&*writer, "k", 60).await }
    });
    let mut killed = false;
    while seen.len() < 60 {
        let mut changes = watcher.watch("k/", from).await.expect("watches");
        while let Some(Ok(batch)) =
            tokio::time::timeout(wait::DEADLINE, changes.next()).await.expect("in time")
        {
            from = batch.revision + 1;
            seen.push(batch.revision);
            if seen.len() == 20 && !killed {
                cluster.kill(follower).expect("dies");
                killed = true;
            }
            if seen.len() == 60 {
                break;
            }
        }
    }
    let results = writing.await.expect("no panic");
    assert_eq!(committed(&results).len(), 60, "{results:?}");
    assert!(seen.windows(2).all(|pair| pair[0] + 1 == pair[1]), "each once, in order: {seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_quorum_every_call_ends_and_the_store_comes_back_with_it() {
    let mut cluster = EtcdCluster::start(3).await.expect("etcd");
    let store = store_on(&cluster, 0);
    commit(&*store, create("before")).await.expect("is committed");
    let mut changes = store.watch("k/", 1).await.expect("watches");
    cluster.kill(1).expect("dies");
    cluster.kill(2).expect("dies");

    let read = bounded(store.revision()).await;
    assert!(matches!(read, Err(StoreError::Unavailable(_))), "{read:?}");
    let write = bounded(commit(&*store, create("k/1"))).await;
    assert!(matches!(write, Err(StoreError::Unavailable(_) | StoreError::Unknown(_))), "{write:?}");
    let end = tokio::time::timeout(Duration::from_secs(20), changes.next()).await.expect("in time");
    assert!(matches!(end, Some(Err(WatchError::Lost(_)))), "a node without a leader says so: {end:?}");
    let later = wait::until("certainty that nothing is sent", || async {
        match bounded(commit(&*store, create("k/2"))).await {
            Err(StoreError::Unavailable(_)) => Ok(()),
            other => anyhow::bail!("{other:?}"),
        }
    });
    later.await.expect("without a leader nothing is proposed");

    cluster.restart(1).await.expect("comes back");
    wait::until("writes", || async { commit(&*store, create("k/3")).await.map(drop).map_err(Into::into) })
        .await
        .expect("are taken again");
    let keys: Vec<String> =
        store.read_prefix("k/").await.expect("is read").entries.into_iter().map(|entry| entry.key).collect();
    assert!(!keys.contains(&"k/2".to_owned()), "what was told as not done is not done: {keys:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_keeps_leading_when_its_etcd_node_freezes() {
    let ttl = Duration::from_secs(3);
    let cluster = EtcdCluster::start(3).await.expect("etcd");
    let follower = (cluster.leader().await.expect("leads") + 1) % 3;
    let store = store_on(&cluster, follower);
    let mut lease = store.campaign("one", ttl).await.expect("leads");
    lease.keep_alive().await.expect("is renewed");
    cluster.freeze(follower).expect("hangs");
    let end = Instant::now() + 2 * ttl;
    let mut renew = tokio::time::interval(ttl / 4);
    while Instant::now() < end {
        renew.tick().await;
        lease.keep_alive().await.expect("is renewed elsewhere, in time");
    }
    let fenced = usher_control_plane::ports::StoreTxn {
        guards: vec![TxnGuard::Fence(lease.token())],
        ..create("fenced")
    };
    let verdict = commit(&*store, fenced).await;
    assert!(matches!(verdict, Ok(TxnVerdict::Committed(_))), "{verdict:?}");
    cluster.thaw(follower).expect("goes on");
    lease.resign().await.expect("resigns");
}
