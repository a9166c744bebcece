//! Facts that begin a new epoch, and facts that do not (ADR 19).

use std::sync::Arc;

use usher_bbb_sim::{BbbSim, SimOptions};
use usher_control_plane::{
    ports::{Store, StoreTxn, TxnWrite},
    store::embedded::EmbeddedStore,
};
use usher_model::revision;
use usher_proto::v1::{
    AdminState, CreateServerRequest, GetStatusRequest, GetStatusResponse, Health, Hello, Revision, Seal,
    Server,
};

use crate::{
    bench::{Bench, FleetServiceClient, settings, until},
    stream::Edge,
};

async fn status(bench: &Bench) -> GetStatusResponse {
    let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
    status.expect("is told").into_inner()
}

async fn at(bench: &Bench) -> revision::Revision {
    status(bench).await.revision.expect("holds one").into()
}

/// A malicious edge sends all it can: many names, revisions near and far, and seals that are
/// missing, forged or of another revision. Creates go on, and the epoch remains.
#[tokio::test(flavor = "multi_thread")]
async fn i10_no_hello_resets_the_cluster() {
    let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).expect("opens in memory"));
    Bench::on(settings(), store.clone()).await.stop().await;
    // The epoch has lasted: the leader deletes the list of awaited servers after five minutes.
    let lasted = StoreTxn { guards: Vec::new(), writes: vec![TxnWrite::Delete("awaited".into())] };
    store.commit(vec![lasted]).await.expect("is written");
    let mut bench = Bench::on(settings(), store).await;
    for number in 1..=2 {
        let sim = sim().await;
        bench.add(&format!("bbb{number}"), &sim, AdminState::Enabled).await;
        bench.sims.push(sim);
    }
    for id in ["bbb1", "bbb2"] {
        bench.until_health(id, Health::Online).await;
    }
    bench.create("before").await;
    let mut honest = Edge::connect(&bench, "honest", None).await;
    while honest.seal.is_none() {
        honest.step().await;
    }
    let seal = honest.seal.clone().expect("was given");
    let epoch = at(&bench).await.epoch;
    let mut hellos = Vec::new();
    for (number, far) in [1, 1_000, u64::MAX / 2, u64::MAX].into_iter().enumerate() {
        let now = at(&bench).await;
        let have = Some(Revision { epoch, seq: now.seq.saturating_add(far) });
        for mac in [None, Some(Vec::new()), Some(vec![7; 32]), Some(seal.mac.clone())] {
            let seal = mac.map(|mac| Seal { revision: have, mac });
            let edge_id = format!("e{number}-{}", hellos.len());
            hellos.push(Hello { edge_id, have, seal, ..Hello::default() });
        }
    }
    // The edge claims an earlier history of the store, and names unknown servers.
    let have = Some(Revision { epoch: epoch ^ 1, seq: 9 });
    let ghosts = vec!["ghost-1".to_owned(), "ghost-2".to_owned()];
    hellos.push(Hello { edge_id: "ghost".into(), have, servers: ghosts, ..Hello::default() });
    let mut open = Vec::new();
    for (number, hello) in hellos.into_iter().enumerate() {
        open.push(Edge::greet(&bench, hello).await);
        bench.create(&format!("room-{number}")).await;
        assert_eq!(at(&bench).await.epoch, epoch, "after hello {number}");
    }
    let polls = bench.sims[0].calls().len();
    until("some polls to pass", async || (bench.sims[0].calls().len() > polls + 6).then_some(())).await;
    bench.create("after").await;
    assert_eq!(at(&bench).await.epoch, epoch);
    honest.until(19).await;
    assert_eq!(bench.metric("usher_rebuilds_total"), 0.0);
    let running: usize = bench.sims.iter().map(|sim| sim.meetings().len()).sum();
    assert_eq!(running, 19, "all of them still run");
    bench.stop().await;
}

fn copy(from: &std::path::Path, to: &std::path::Path) {
    std::fs::create_dir_all(to).expect("is made");
    for entry in std::fs::read_dir(from).expect("is read") {
        let entry = entry.expect("is read");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("is copied");
    }
}

/// The store's file is restored from a backup while no control plane runs. One edge proves the
/// loss, because its seal is a control plane's.
#[tokio::test(flavor = "multi_thread")]
async fn i10_one_edge_tells_of_a_file_that_was_put_back_by_what_a_control_plane_sealed() {
    let folder = tempfile::tempdir().expect("is made");
    let (data, backup) = (folder.path().join("data"), folder.path().join("backup"));
    let bench = Bench::on_disk(&data).await;
    bench.stop().await;
    copy(&data, &backup);
    let bench = Bench::on_disk(&data).await;
    let epoch = at(&bench).await.epoch;
    for number in 0..50 {
        let mut server =
            Server { url: format!("http://127.0.0.1:1/{number}/"), secret: "s".into(), ..Server::default() };
        server.set_admin_state(AdminState::Disabled);
        let request = CreateServerRequest {
            server: Some(server),
            server_id: format!("s{number}"),
            validate_only: false,
            request_id: String::new(),
        };
        bench.servers().create_server(request).await.expect("is created");
    }
    let mut edge = Edge::connect(&bench, "e1", None).await;
    let written = at(&bench).await;
    while edge.seal.as_ref().and_then(|seal| seal.revision).is_none_or(|of| of.seq < written.seq) {
        edge.step().await;
    }
    let (have, seal) = (Some(edge.table.revision().into()), edge.seal.clone());
    drop(edge);
    bench.stop().await;
    std::fs::remove_dir_all(&data).expect("is removed");
    copy(&backup, &data);
    let bench = Bench::on_disk(&data).await;
    let unsealed = Edge::greet(&bench, Hello { edge_id: "e1".into(), have, ..Hello::default() }).await;
    assert_eq!(at(&bench).await.epoch, epoch, "its word alone is none");
    drop(unsealed);
    let told = Edge::greet(&bench, Hello { edge_id: "e1".into(), have, seal, ..Hello::default() }).await;
    until("a new epoch", async || (at(&bench).await.epoch != epoch).then_some(())).await;
    drop(told);
    bench.stop().await;
}

async fn sim() -> BbbSim {
    BbbSim::start(SimOptions::new("server-secret")).await.expect("listens")
}
