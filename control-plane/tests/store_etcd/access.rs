//! Encryption, client certificates, users and their permissions.

use std::time::Duration;

use etcd_client::{Client, Permission, PermissionType};
use usher_bbb::secret::Secret;
use usher_control_plane::ports::{StoreError, TxnVerdict};
use usher_harness::etcd::{EtcdCluster, EtcdOptions};
use usher_model::settings::StoreSettings;

use crate::fixture::{bounded, commit, create, settings, store};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn client_certificates_are_shown_and_servers_without_ours_are_not_trusted() {
    let options = EtcdOptions { members: 1, tls: true, ..EtcdOptions::default() };
    let cluster = EtcdCluster::start_with(options.clone()).await.expect("etcd");
    let shown = store(&settings(&cluster));
    let verdict = bounded(commit(&*shown, create("k"))).await;
    assert!(matches!(verdict, Ok(TxnVerdict::Committed(_))), "{verdict:?}");
    let lease = bounded(shown.campaign("c", Duration::from_secs(5))).await.expect("leads");
    lease.resign().await.expect("resigns");

    let without = StoreSettings { cert: None, key: None, ..settings(&cluster) };
    let result = bounded(commit(&*store(&without), create("a"))).await;
    let Err(StoreError::Unavailable(why) | StoreError::Unknown(why)) = result else { panic!("{result:?}") };
    assert!(why.contains("store.cert"), "names the missing setting: {why}");

    let stranger = EtcdCluster::start_with(options).await.expect("etcd");
    let wrong = StoreSettings { ca: settings(&stranger).ca, ..settings(&cluster) };
    // The call must be refused as certainly not sent. On a loaded machine an attempt may reach its
    // own deadline first; it is then repeated, a few times at most.
    let wrong = store(&wrong);
    let mut results = Vec::new();
    for _ in 0..5 {
        results.push(bounded(commit(&*wrong, create("b"))).await);
        if !matches!(results.last(), Some(Err(StoreError::Unknown(_)))) {
            break;
        }
    }
    assert!(matches!(results.last(), Some(Err(StoreError::Unavailable(_)))), "{results:?}");

    let entries = shown.read_prefix("").await.expect("is read").entries;
    assert_eq!(entries.into_iter().map(|entry| entry.key).collect::<Vec<_>>(), ["k"]);
}

/// Adds `usher`, who may do everything below `/usher/`, and enables authentication.
async fn lock_down(cluster: &EtcdCluster) -> anyhow::Result<()> {
    let mut client: Client = cluster.client(0).await?;
    client.role_add("root").await?;
    client.user_add("root", "root's", None).await?;
    client.user_grant_role("root", "root").await?;
    client.role_add("usher").await?;
    let everything = Permission::new(PermissionType::Readwrite, "/usher/").with_prefix();
    client.role_grant_permission("usher", everything).await?;
    client.user_add("usher", "usher's", None).await?;
    client.user_grant_role("usher", "usher").await?;
    client.auth_enable().await?;
    Ok(())
}

fn user(cluster: &EtcdCluster, password: &str) -> StoreSettings {
    StoreSettings { user: Some("usher".into()), password: Some(Secret::new(password)), ..settings(cluster) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_refused_what_it_may_not_do() {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    lock_down(&cluster).await.expect("is locked down");
    let allowed = store(&user(&cluster, "usher's"));
    commit(&*allowed, create("k")).await.expect("is committed");
    let listing = allowed.read_prefix("").await.expect("is read");
    let mut changes = allowed.watch("", listing.revision).await.expect("watches");
    futures::StreamExt::next(&mut changes).await.expect("tells").expect("goes on");
    let mut lease = allowed.campaign("c", Duration::from_secs(5)).await.expect("leads");
    lease.keep_alive().await.expect("is renewed");
    assert_eq!(allowed.leader().await.expect("is read").as_deref(), Some("c"));
    lease.resign().await.expect("resigns");

    let elsewhere = store(&StoreSettings { prefix: "/other/".into(), ..user(&cluster, "usher's") });
    for result in [
        bounded(commit(&*elsewhere, create("k"))).await.map(drop),
        bounded(elsewhere.read_prefix("")).await.map(drop),
    ] {
        assert!(matches!(result, Err(StoreError::Rejected(_))), "{result:?}");
    }
    for wrong in [user(&cluster, "guessed"), settings(&cluster)] {
        let result = bounded(commit(&*store(&wrong), create("k2"))).await;
        let Err(StoreError::Rejected(why)) = result else { panic!("{result:?}") };
        assert!(!why.contains("guessed"), "{why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_etcd_forgot_is_asked_for_anew() {
    let mut cluster = EtcdCluster::start(1).await.expect("etcd");
    lock_down(&cluster).await.expect("is locked down");
    let store = store(&user(&cluster, "usher's"));
    commit(&*store, create("before")).await.expect("is committed");
    // etcd keeps its simple tokens in memory.
    cluster.kill(0).expect("dies");
    cluster.revive(0).expect("starts");
    usher_harness::wait::until("a write", || async {
        commit(&*store, create("after")).await.map(drop).map_err(Into::into)
    })
    .await
    .expect("is taken");
    let mut changes = store.watch("", 1).await.expect("watches");
    futures::StreamExt::next(&mut changes).await.expect("tells").expect("goes on");
    store.campaign("c", Duration::from_secs(5)).await.expect("leads").resign().await.expect("resigns");
}

/// Starts a node whose tokens are JWTs of this time to live, and locks it down. The tokens, unlike
/// etcd's simple ones, name the revision of the users at which they were made.
async fn with_jwt(ttl: &str) -> (EtcdCluster, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let key = folder.path().join("jwt.key");
    std::fs::write(&key, "a secret of the test, of more than 32 bytes").expect("is written");
    let flag = format!("--auth-token=jwt,priv-key={},sign-method=HS256,ttl={ttl}", key.display());
    let options = EtcdOptions { flags: vec![flag], ..EtcdOptions::default() };
    let cluster = EtcdCluster::start_with(options).await.expect("etcd");
    lock_down(&cluster).await.expect("is locked down");
    (cluster, folder)
}

/// Connects as the user that may do everything.
async fn root(cluster: &EtcdCluster) -> Client {
    let options = etcd_client::ConnectOptions::new().with_user("root", "root's");
    Client::connect(cluster.endpoints(), Some(options)).await.expect("connects")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_that_is_added_to_etcd_makes_no_call_fail() {
    let (cluster, _key) = with_jwt("10m").await;
    let store = store(&user(&cluster, "usher's"));
    commit(&*store, create("before")).await.expect("is committed");
    let mut lease = store.campaign("c", Duration::from_secs(5)).await.expect("leads");
    root(&cluster).await.user_add("another", "another's", None).await.expect("is added");
    commit(&*store, create("after")).await.expect("is committed with a new token");
    root(&cluster).await.user_add("a third", "a third's", None).await.expect("is added");
    store.revision().await.expect("is read with a new token");
    root(&cluster).await.user_add("a fourth", "a fourth's", None).await.expect("is added");
    lease.keep_alive().await.expect("is renewed with a new token");
    let mut changes = store.watch("", 1).await.expect("watches");
    futures::StreamExt::next(&mut changes).await.expect("tells").expect("goes on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expired_is_asked_for_anew() {
    let (cluster, _key) = with_jwt("1s").await;
    let store = store(&user(&cluster, "usher's"));
    let end = std::time::Instant::now() + Duration::from_secs(3);
    let mut number = 0;
    let mut pace = tokio::time::interval(Duration::from_millis(100));
    while std::time::Instant::now() < end {
        pace.tick().await;
        commit(&*store, create(&format!("k/{number}"))).await.expect("is committed");
        number += 1;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_works_before_while_and_after_authentication_is_on() {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let settings = user(&cluster, "usher's");
    let store_before = store(&settings);
    commit(&*store_before, create("off")).await.expect("is committed without a token");
    lock_down(&cluster).await.expect("is locked down");
    commit(&*store_before, create("on")).await.expect("is committed with a token");
    root(&cluster).await.auth_disable().await.expect("is switched off for a repair");
    commit(&*store_before, create("off again")).await.expect("is committed");
    commit(&*store(&settings), create("off, by another")).await.expect("is committed");
    cluster.client(0).await.expect("connects").auth_enable().await.expect("is switched on");
    commit(&*store_before, create("on again")).await.expect("is committed with another token");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_was_renewed_on_disk_is_used_by_the_next_connection() {
    let options = EtcdOptions { members: 1, tls: true, ..EtcdOptions::default() };
    let cluster = EtcdCluster::start_with(options.clone()).await.expect("etcd");
    let stranger = EtcdCluster::start_with(options).await.expect("etcd");
    let (folder, good, bad) = (
        tempfile::tempdir().expect("a folder"),
        cluster.tls().expect("files"),
        stranger.tls().expect("files"),
    );
    let (cert, key) = (folder.path().join("client.pem"), folder.path().join("client.key"));
    let put = |from: &usher_harness::certificates::TlsFiles| {
        std::fs::copy(&from.cert, &cert).expect("is copied");
        std::fs::copy(&from.key, &key).expect("is copied");
    };
    put(bad);
    let store =
        store(&StoreSettings { cert: Some(cert.clone()), key: Some(key.clone()), ..settings(&cluster) });
    let refused = bounded(commit(&*store, create("k"))).await;
    assert!(matches!(refused, Err(StoreError::Unavailable(_) | StoreError::Unknown(_))), "{refused:?}");
    std::fs::write(&cert, "half a certificate").expect("is written");
    let half = bounded(commit(&*store, create("k"))).await;
    assert!(matches!(half, Err(StoreError::Unavailable(_) | StoreError::Unknown(_))), "{half:?}");
    put(good);
    usher_harness::wait::until("a write by the renewed certificate", || async {
        commit(&*store, create("k2")).await.map(drop).map_err(Into::into)
    })
    .await
    .expect("is taken");
}
