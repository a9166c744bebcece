//! Polls that see the same write no value, and the other replicas know all the same how old a sample is
//! (ADR 34).

use std::sync::Arc;

use usher_bbb_sim::{BbbSim, FaultKind, SimOptions};
use usher_control_plane::{
    ports::{Store, StoreTxn, TxnWrite},
    store::embedded::EmbeddedStore,
};
use usher_proto::v1::*;

use crate::bench::{Bench, INTERVAL, settings, until};

fn polls(sim: &BbbSim) -> usize {
    sim.calls().iter().filter(|call| call.name == "getMeetings").count()
}

/// Returns the age of the sample of `bbb1` in polling intervals.
async fn age(bench: &Bench) -> f64 {
    let age = bench.server("bbb1").await.sample_age.expect("was polled");
    (age.seconds as f64 + f64::from(age.nanos) / 1e9) / INTERVAL.as_secs_f64()
}

/// Waits for `times` more polls, and returns the oldest age that `bench` showed meanwhile.
async fn oldest_during(bench: &Bench, sim: &BbbSim, times: usize) -> f64 {
    let (before, mut oldest) = (polls(sim), 0.0_f64);
    for turn in 1..=times {
        until("one more poll", async || (polls(sim) >= before + turn).then_some(())).await;
        oldest = oldest.max(age(bench).await);
    }
    oldest
}

#[tokio::test(flavor = "multi_thread")]
async fn f9_a_follower_knows_the_age_of_a_sample_without_a_write() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let leader = Bench::on(settings(), store.clone()).await;
    let follower = Bench::on(settings(), store.clone()).await;
    let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    leader.add("bbb1", &sim, AdminState::Enabled).await;
    follower.until_health("bbb1", Health::Online).await;
    // A sample is as old as an interval and the time of a reading; a busy machine adds to that.
    let quiet = until("twelve polls without a write", async || {
        let before = store.revision().await.expect("is read");
        let oldest = oldest_during(&follower, &sim, 12).await;
        (store.revision().await.expect("is read") == before).then_some(oldest)
    })
    .await;
    assert!(quiet < 6.0, "the sample of a polled server was {quiet} intervals old");

    sim.faults().set(FaultKind::Refuse).await;
    until("the sample to age", async || (age(&follower).await > 6.0).then_some(())).await;
    sim.faults().clear().await;
    until("the sample to be fresh", async || (age(&follower).await < 2.0).then_some(())).await;

    // The next leader polls on, and writes the sample once more.
    leader.stop().await;
    until("the next leader's polls", async || {
        let oldest = oldest_during(&follower, &sim, 3).await;
        (oldest < 3.0).then_some(())
    })
    .await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_of_an_earlier_version_are_ignored_and_removed() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    let old = |number: u32| TxnWrite::Put(format!("fresh/bbb{number}"), vec![8, 7].into());
    for hundred in 0..2_u32 {
        let writes = (0..100).map(|number| old(hundred * 100 + number)).collect();
        store.commit(vec![StoreTxn { guards: Vec::new(), writes }]).await.expect("is written");
    }
    let bench = Bench::on(settings(), store.clone()).await;
    until("the old keys to go", async || {
        store.read_prefix("fresh/").await.expect("reads").entries.is_empty().then_some(())
    })
    .await;
    assert!(bench.metric("usher_rebuilds_total") < 0.1, "no loss of state");
    bench.stop().await;
}
