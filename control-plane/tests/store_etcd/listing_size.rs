//! The cost of a complete listing, which every control plane reads when it starts.

use std::time::{Duration, Instant};

use etcd_client::{Client, GetOptions};
use usher_control_plane::{
    ports::{Store, StoreTxn, TxnWrite},
    store::etcd::EtcdStore,
};
use usher_harness::etcd::EtcdCluster;

use crate::fixture::settings;

/// Number of bytes of a stored record.
const VALUE: usize = 200;

/// Writes `count` records, 4096 in one request.
async fn fill(store: &dyn Store, count: usize) {
    let value = bytes::Bytes::from(vec![7_u8; VALUE]);
    let keys: Vec<usize> = (0..count).collect();
    for request in keys.chunks(64 * 64) {
        let txn = |keys: &[usize]| {
            let put = |key: &usize| TxnWrite::Put(format!("meetings/default/{key:08}"), value.clone());
            StoreTxn { guards: vec![], writes: keys.iter().map(put).collect() }
        };
        store.commit(request.chunks(64).map(txn).collect()).await.expect("is written");
    }
}

/// Reads all keys in pages of 500, as a listing without growing pages does.
async fn in_small_pages(client: &Client, end: &str) -> usize {
    let (mut from, mut count) = (b"/usher/".to_vec(), 0);
    loop {
        let options = GetOptions::new().with_range(end).with_limit(500);
        let mut page = client.kv_client().get(from, Some(options)).await.expect("is read");
        let (more, pairs) = (page.more(), page.take_kvs());
        count += pairs.len();
        match pairs.last().filter(|_| more) {
            Some(last) => from = [last.key(), b"\0"].concat(),
            None => return count,
        }
    }
}

/// Prints the time of a listing; `USHER_LISTED` is the number of records.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement: it fills etcd with 300,000 records"]
async fn a_listing_of_many_records_is_measured() {
    let count = std::env::var("USHER_LISTED").ok().and_then(|count| count.parse().ok()).unwrap_or(300_000);
    let cluster = EtcdCluster::start(1).await.expect("etcd");
    let mut settings = settings(&cluster);
    settings.timeout = Duration::from_secs(30);
    let store = EtcdStore::connect(&settings).expect("a cluster");
    fill(&store, count).await;
    let start = Instant::now();
    let listed = store.read_prefix("").await.expect("is read").entries.len();
    println!("{listed} entries in growing pages: {:?}", start.elapsed());
    assert_eq!(listed, count);
    if std::env::var_os("USHER_SMALL_PAGES").is_some() {
        let client = cluster.client(0).await.expect("connects");
        let start = Instant::now();
        let listed = in_small_pages(&client, "/usher0").await;
        println!("{listed} entries in pages of 500: {:?}", start.elapsed());
    }
}
