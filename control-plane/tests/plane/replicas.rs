//! The lists of edges, alarms and replicas are those of the whole cluster at each replica (ADR 38).

use std::sync::Arc;

use tonic::{Code, transport::Channel};
use usher_control_plane::ports::Store;
use usher_proto::v1::{replica_service_client::ReplicaServiceClient, *};

use crate::{
    bench::{Bench, EdgeServiceClient, FleetServiceClient, settings, until},
    hooks::memory,
    stream::Edge,
};

async fn start(store: &Arc<dyn Store>, name: &str) -> Bench {
    let mut settings = settings();
    settings.leader.replica = Some(name.into());
    Bench::on(settings, Arc::clone(store)).await
}

async fn replicas(bench: &Bench) -> Vec<Replica> {
    let mut client = ReplicaServiceClient::<Channel>::new(bench.channel.clone());
    client.list_replicas(ListReplicasRequest::default()).await.expect("is listed").into_inner().replicas
}

/// Returns the names of the edges with those of their replicas.
async fn edges(bench: &Bench) -> Vec<(String, String)> {
    let list = EdgeServiceClient::new(bench.channel.clone()).list_edges(ListEdgesRequest::default()).await;
    let edges = list.expect("is listed").into_inner().edges.into_iter();
    edges.map(|edge| (edge.name, edge.replica)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(edge, at)| (format!("edges/{edge}"), format!("replicas/{at}"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_replica_lists_the_replicas_and_edges_of_all() {
    let store = memory();
    let (one, two) = (start(&store, "cp 1").await, start(&store, "cp-2").await);
    let (_a, _b) = (Edge::connect(&one, "edge-a", None).await, Edge::connect(&two, "edge-b", None).await);
    let expected = pairs(&[("edge-a", "cp%201"), ("edge-b", "cp-2")]);
    for bench in [&one, &two] {
        until("all edges are listed", async || (edges(bench).await == expected).then_some(())).await;
        until("both replicas have made statements", async || {
            let all = replicas(bench).await;
            let is_stated = |replica: &Replica| !replica.version.is_empty() && replica.edges == 1;
            (all.len() == 2 && all.iter().all(is_stated)).then_some(())
        })
        .await;
        let all = replicas(bench).await;
        let leaders = all.iter().filter(|replica| replica.role() == ReplicaRole::Leader).count();
        assert_eq!((leaders, all.iter().filter(|replica| replica.answering).count()), (1, 1), "{all:?}");
        assert_eq!(
            all.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
            ["replicas/cp%201", "replicas/cp-2"]
        );
        let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
        assert_eq!(status.expect("answers").into_inner().edges, 2);
    }
    let get = |name: &str| GetEdgeRequest { name: name.into() };
    let mut client = EdgeServiceClient::new(one.channel.clone());
    let foreign = client.get_edge(get("edges/edge-b")).await.expect("is known").into_inner().edge;
    let foreign = foreign.expect("is shown");
    assert!(foreign.applied.is_none() && foreign.connect_time.is_some(), "{foreign:?}");
    for (name, code) in [("edges/nope", Code::NotFound), ("nope", Code::InvalidArgument)] {
        assert_eq!(client.get_edge(get(name)).await.expect_err("is refused").code(), code);
    }
    let mut client = ReplicaServiceClient::<Channel>::new(two.channel.clone());
    let get = |name: &str| GetReplicaRequest { name: name.into() };
    let replica = client.get_replica(get("replicas/cp%201")).await.expect("is known").into_inner().replica;
    assert_eq!(replica.map(|replica| replica.edges), Some(1));
    for (name, code) in [("replicas/x", Code::NotFound), ("cp%201", Code::InvalidArgument)] {
        assert_eq!(client.get_replica(get(name)).await.expect_err("is refused").code(), code);
    }

    two.stop().await;
    until("the other replica and its edge are gone", async || {
        let gone = edges(&one).await == pairs(&[("edge-a", "cp%201")]);
        (gone && replicas(&one).await.len() == 1).then_some(())
    })
    .await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alarm_of_one_replica_is_shown_by_all() {
    let store = memory();
    let (one, two) = (start(&store, "cp-1").await, start(&store, "cp-2").await);
    // Only the leader polls and finds that a server has no sample.
    let sim = usher_bbb_sim::BbbSim::start(usher_bbb_sim::SimOptions::new("another")).await.expect("listens");
    one.add("bbb1", &sim, AdminState::Enabled).await;
    let alarms = async |bench: &Bench| {
        let status = FleetServiceClient::new(bench.channel.clone()).get_status(GetStatusRequest {}).await;
        status.expect("answers").into_inner().alarms
    };
    until("both show the same alarms of some replica", async || {
        let (a, b) = (alarms(&one).await, alarms(&two).await);
        let named = |list: &[Alarm]| -> Vec<_> {
            list.iter().map(|alarm| (alarm.kind.clone(), alarm.replicas.clone())).collect()
        };
        (!a.is_empty() && named(&a) == named(&b) && a.iter().all(|alarm| !alarm.replicas.is_empty()))
            .then_some(())
    })
    .await;
    one.stop().await;
    two.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_resting_cluster_makes_no_statement_again() {
    let store = memory();
    let bench = start(&store, "cp-1").await;
    let _edge = Edge::connect(&bench, "edge-a", None).await;
    let stated = async || {
        let listing = store.read_prefix("replicas/").await.expect("is read");
        listing.entries.first().map(|entry| (entry.create_revision, entry.mod_revision))
    };
    // The second statement has the edge; it comes after the pause.
    let last = until("the edge is stated", async || {
        let entry = store.read_prefix("replicas/").await.expect("is read").entries.pop()?;
        entry.value.windows(6).any(|bytes| bytes == b"edge-a").then_some(entry.mod_revision)
    })
    .await;
    // Three polling rounds and acknowledgements later the statement is the same.
    let sim =
        usher_bbb_sim::BbbSim::start(usher_bbb_sim::SimOptions::new("server-secret")).await.expect("listens");
    bench.add("bbb1", &sim, AdminState::Enabled).await;
    bench.until_health("bbb1", Health::Online).await;
    assert_eq!(stated().await.map(|(_, modified)| modified), Some(last));
    bench.stop().await;
    assert_eq!(stated().await, None, "a replica that stops takes its statement with it");
}
