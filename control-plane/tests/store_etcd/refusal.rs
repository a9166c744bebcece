//! Refusals of etcd that only an operator can repair.

use usher_control_plane::ports::{StoreError, StoreTxn, TxnVerdict, TxnWrite};
use usher_harness::etcd::{EtcdCluster, EtcdOptions};
use usher_model::settings::StoreSettings;

use crate::fixture::{bounded, commit, create, settings, store, store_on};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f8_a_full_database_rejects_writes_and_serves_reads() {
    let flags = vec!["--quota-backend-bytes=1048576".into()];
    let options = EtcdOptions { flags, ..EtcdOptions::default() };
    let cluster = EtcdCluster::start_with(options).await.expect("etcd");
    let store = store_on(&cluster, 0);
    let mut refused = None;
    for number in 0..100 {
        let value = vec![0_u8; 100_000];
        let txn =
            StoreTxn { guards: vec![], writes: vec![TxnWrite::Put(format!("k/{number}"), value.into())] };
        if let Err(error) = bounded(commit(&*store, txn)).await {
            refused = Some(error);
            break;
        }
    }
    let Some(StoreError::Rejected(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("space"), "{why}");
    assert!(!store.read_prefix("k/").await.expect("is read").entries.is_empty());
    assert!(matches!(commit(&*store, create("a")).await, Err(StoreError::Rejected(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_too_large_transaction_is_rejected_as_a_whole() {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let store = store_on(&cluster, 0);
    let large = TxnWrite::Put("large".into(), vec![0_u8; 2 << 20].into());
    let many = (0..129).map(|key| TxnWrite::Put(format!("many/{key}"), "v".into()));
    for writes in [vec![TxnWrite::Put("a".into(), "v".into()), large], many.collect()] {
        let result = commit(&*store, StoreTxn { guards: vec![], writes }).await;
        assert!(matches!(result, Err(StoreError::Rejected(_))), "{result:?}");
    }
    assert!(store.read_prefix("").await.expect("is read").entries.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_are_too_many_for_one_request_are_all_taken() {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let store = store_on(&cluster, 0);
    let deletes = |name: String, count: usize| StoreTxn {
        guards: vec![],
        writes: (0..count).map(|key| TxnWrite::Delete(format!("{name}/{key}"))).collect(),
    };
    // 64 transactions, the mark of their deletions, and 64 operations of one are 129.
    let small = (0..63).map(|number| deletes(format!("small/{number}"), 1));
    let txns: Vec<StoreTxn> = small.chain([deletes("large".into(), 64)]).collect();
    let verdicts = store.commit(txns).await.expect("are decided");
    assert_eq!(verdicts.len(), 64);
    assert!(verdicts.iter().all(|verdict| matches!(verdict, TxnVerdict::Committed(_))), "{verdicts:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_without_a_reachable_endpoint_is_certainly_not_done() {
    let nobody =
        std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port");
    let settings = StoreSettings {
        endpoints: vec![format!("http://{nobody}")],
        timeout: crate::fixture::TIMEOUT,
        ..StoreSettings::default()
    };
    let store = store(&settings);
    for result in [
        bounded(commit(&*store, create("a"))).await.map(drop),
        bounded(store.revision()).await.map(drop),
        bounded(store.watch("", 1)).await.map(drop),
        bounded(store.campaign("c", std::time::Duration::from_secs(2))).await.map(drop),
    ] {
        let Err(StoreError::Unavailable(why)) = result else { panic!("{result:?}") };
        assert!(why.contains(&nobody.to_string()), "names the endpoint: {why}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_installations_share_a_cluster_by_their_prefixes() {
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let with = |prefix: &str| store(&StoreSettings { prefix: prefix.into(), ..settings(&cluster) });
    let (one, other) = (with("/one/"), with("/other/"));
    let mut changes = other.watch("", 1).await.expect("watches");
    commit(&*one, create("k")).await.expect("is decided");
    assert!(other.read_prefix("").await.expect("is read").entries.is_empty());
    let verdict = commit(&*other, create("k")).await.expect("is decided");
    let TxnVerdict::Committed(revision) = verdict else { panic!("{verdict:?}") };
    let batch = futures::StreamExt::next(&mut changes).await.expect("tells").expect("goes on");
    assert_eq!(batch.revision, revision);
    let _lease = one.campaign("c", std::time::Duration::from_secs(5)).await.expect("leads");
    assert_eq!(other.leader().await.expect("is read"), None);
}
