//! Elections, leases and fencing.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, interval, timeout};
use usher_control_plane::ports::{LeaderLease, Store, StoreError, TxnGuard, TxnVerdict};
use usher_model::revision::FencingToken;

use crate::subject::{PATIENCE, Subject, commit, decide, put, refused, within};

/// The shortest lease that etcd grants with its default election timeout.
const TTL: Duration = Duration::from_secs(2);

/// A lease that outlives a pause of a busy disk between its renewal and the next commit: with [`TTL`] one
/// slow sync to disk ended the lease of the test.
const KEPT_TTL: Duration = Duration::from_secs(5);

async fn elect(store: &dyn Store, candidate: &str) -> Box<dyn LeaderLease> {
    elect_for(store, candidate, TTL).await
}

async fn elect_for(store: &dyn Store, candidate: &str, ttl: Duration) -> Box<dyn LeaderLease> {
    within("an election", store.campaign(candidate, ttl)).await.expect("leads")
}

fn fence(lease: &dyn LeaderLease) -> Vec<TxnGuard> {
    vec![TxnGuard::Fence(lease.token())]
}

pub(crate) async fn one_candidate_leads_until_it_resigns(subject: &Subject) {
    let (store, other) = (subject.store(), subject.store());
    let first = elect(&*store, "first").await;
    assert_eq!(other.leader().await.expect("is read").as_deref(), Some("first"));
    commit(&*store, fence(&*first), vec![put("a", "1")]).await;

    let rival = Arc::clone(&other);
    let mut campaign = tokio::spawn(async move { elect(&*rival, "second").await });
    assert!(timeout(TTL / 4, &mut campaign).await.is_err(), "one leads at a time");
    let token = first.token();
    let resigned = Instant::now();
    first.resign().await.expect("resigns");
    let second = within("the second", campaign).await.expect("no panic");
    assert!(resigned.elapsed() < TTL, "nobody waits for the lease to run out");
    assert_eq!(store.leader().await.expect("is read").as_deref(), Some("second"));
    assert!(second.token().create_revision > token.create_revision);
    refused(&*store, vec![TxnGuard::Fence(token)], vec![put("a", "2")]).await;
    commit(&*store, fence(&*second), vec![put("a", "2")]).await;
}

pub(crate) async fn x3_a_deposed_leaders_writes_fail(subject: &Subject) {
    let (store, other) = (subject.store(), subject.store());
    let mut silent = elect(&*store, "silent").await;
    let started = Instant::now();
    let next = elect(&*other, "next").await;
    let took = started.elapsed();
    assert!(took < 2 * TTL + Duration::from_secs(1), "took {took:?}");
    refused(&*store, fence(&*silent), vec![put("a", "1")]).await;
    commit(&*store, fence(&*next), vec![put("a", "1")]).await;
    let gone = silent.keep_alive().await;
    assert!(matches!(gone, Err(StoreError::Rejected(_))), "{gone:?}");
    silent.resign().await.expect("may be done late");
    assert_eq!(store.leader().await.expect("is read").as_deref(), Some("next"));
}

pub(crate) async fn a_kept_lease_outlives_its_time_and_a_waiting_candidate_keeps_its_place(
    subject: &Subject,
) {
    let (store, other) = (subject.store(), subject.store());
    let mut leader = elect_for(&*store, "leader", KEPT_TTL).await;
    let rival = Arc::clone(&other);
    let mut waiting = tokio::spawn(async move { elect_for(&*rival, "waiting", KEPT_TTL).await });
    let (end, mut renew) = (Instant::now() + 2 * KEPT_TTL, interval(KEPT_TTL / 4));
    while Instant::now() < end {
        renew.tick().await;
        let asked = Instant::now();
        let left = leader.keep_alive().await.expect("is renewed");
        assert!(left >= KEPT_TTL && left <= 2 * KEPT_TTL, "{left:?}");
        let verdict = decide(&*store, fence(&*leader), vec![put("a", "1")]).await.expect("is decided");
        if asked.elapsed() >= KEPT_TTL {
            eprintln!("the disk paused for as long as the lease lasts, so that it rightly ended");
            return;
        }
        assert!(!matches!(verdict, TxnVerdict::Refused(_)), "{verdict:?}");
    }
    assert!(timeout(Duration::from_millis(1), &mut waiting).await.is_err(), "one leads at a time");
    leader.resign().await.expect("resigns");
    let second = within("the one that waited", waiting).await.expect("no panic");
    commit(&*other, fence(&*second), vec![put("a", "2")]).await;
}

pub(crate) async fn a_campaign_given_up_leaves_a_lease_that_runs_out(subject: &Subject) {
    let (store, other) = (subject.store(), subject.store());
    let leader = elect(&*store, "leader").await;
    assert!(timeout(TTL / 2, other.campaign("gives up", TTL)).await.is_err());
    leader.resign().await.expect("resigns");
    let third = within("the next", timeout(PATIENCE, store.campaign("third", TTL))).await;
    let third = third.expect("in time").expect("leads");
    commit(&*store, fence(&*third), vec![put("a", "1")]).await;
}

pub(crate) async fn a_fence_is_the_key_as_it_was_created(subject: &Subject) {
    let store = subject.store();
    let lease = elect(&*store, "leader").await;
    let FencingToken { key, create_revision } = lease.token();
    for token in [
        FencingToken { key: key.clone(), create_revision: create_revision + 1 },
        FencingToken { key: key.clone(), create_revision: 0 },
        FencingToken { key: format!("{key}0"), create_revision },
    ] {
        let verdict = decide(&*store, vec![TxnGuard::Fence(token)], vec![put("a", "1")]).await;
        assert!(matches!(verdict, Ok(TxnVerdict::Refused(_))), "{verdict:?}");
    }
    commit(&*store, fence(&*lease), vec![put("a", "1")]).await;
}
