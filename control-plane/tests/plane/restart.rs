//! A control plane that restarts on the same file.

use usher_bbb_sim::{BbbSim, SimOptions};
use usher_proto::v1::*;

use crate::bench::{Bench, until};

#[tokio::test(flavor = "multi_thread")]
async fn records_and_servers_survive_a_restart() {
    let directory = tempfile::tempdir().expect("makes a directory");
    let mut bench = Bench::on_disk(directory.path()).await;
    bench.sims.push(BbbSim::start(SimOptions::new("server-secret")).await.expect("listens"));
    bench.add("bbb1", &bench.sims[0], AdminState::Enabled).await;
    bench.until_health("bbb1", Health::Online).await;
    bench.create("survives").await;
    let confirmed =
        async || bench.meeting("survives").await.filter(|meeting| !meeting.internal_id.is_empty());
    let before = until("it to be confirmed", confirmed).await;
    let sims = std::mem::take(&mut bench.sims);
    bench.stop().await;

    let mut bench = Bench::on_disk(directory.path()).await;
    bench.sims = sims;
    assert_eq!(bench.meeting("survives").await.map(|meeting| meeting.internal_id), Some(before.internal_id));
    assert_eq!(bench.server("bbb1").await.health(), Health::Online, "counters are stored");
    bench.sims[0].forget_calls();
    until("polls to go on", async || (!bench.sims[0].calls().is_empty()).then_some(())).await;
    bench.create("another").await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_an_empty_store_no_meeting_is_placed_before_the_servers_were_polled() {
    let mut bench = Bench::with_servers(0).await;
    // The server runs a meeting of Usher that this store has no record of.
    let sim = BbbSim::start(SimOptions::new("server-secret")).await.expect("listens");
    bench.create_at(&sim, "runs").await;
    sim.faults().set(usher_bbb_sim::FaultKind::Slow(std::time::Duration::from_millis(100))).await;
    bench.add("bbb1", &sim, AdminState::Enabled).await;
    bench.sims.push(sim);
    let status = bench.place("runs").await.expect_err("nobody was asked yet");
    assert_eq!(status.code(), tonic::Code::Unavailable);
    bench.sims[0].faults().clear().await;
    until("the meeting to be found", async || bench.meeting("runs").await).await;
    let placed = bench.place("runs").await.expect("is known");
    assert!(placed.existing, "it is not split");
    bench.stop().await;
}
