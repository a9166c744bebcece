//! The routing stream: snapshot, deltas, resume, gaps.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use usher_model::{
    revision,
    routing::{RoutingDelta, RoutingTable},
};
use usher_proto::{
    SharedFrame,
    v1::{stream_routes_request::Message as Say, stream_routes_response::Message as Hear, *},
};

use crate::bench::{Bench, EdgeServiceClient, RoutingServiceClient, until};

/// A minimal edge: it holds a table and follows the stream.
pub(crate) struct Edge {
    say: mpsc::Sender<StreamRoutesRequest>,
    hear: tonic::Streaming<SharedFrame>,
    pub(crate) table: RoutingTable,
    snapshots: usize,
    building: Option<RoutingDelta>,
    pub(crate) seal: Option<Seal>,
}

impl Edge {
    pub(crate) async fn connect(bench: &Bench, id: &str, table: Option<RoutingTable>) -> Self {
        let have = table.as_ref().map(|table| table.revision().into());
        let hello = Hello { edge_id: id.into(), have, ..Hello::default() };
        Self { table: table.unwrap_or_else(nothing), ..Self::greet(bench, hello).await }
    }

    pub(crate) async fn greet(bench: &Bench, hello: Hello) -> Self {
        let (say, said) = mpsc::channel(16);
        let hello = Hello { address: "here".into(), version: "1".into(), ..hello };
        say.send(StreamRoutesRequest { message: Some(Say::Hello(hello)) }).await.expect("is open");
        let hear = RoutingServiceClient::new(bench.channel.clone())
            .stream_routes(ReceiverStream::new(said))
            .await
            .expect("is served")
            .into_inner();
        let table = nothing();
        Self { say, hear, table, snapshots: 0, building: None, seal: None }
    }

    /// Takes one frame; returns `false` for a heartbeat.
    pub(crate) async fn step(&mut self) -> bool {
        let frame = tokio::time::timeout(Duration::from_secs(20), self.hear.message()).await;
        let frame = frame.expect("speaks in time").expect("is well").expect("goes on");
        match frame.into_message().expect("is readable").message.expect("says something") {
            Hear::SnapshotBegin(begin) => {
                self.snapshots += 1;
                let at = begin.revision.expect("is set").into();
                self.building = Some(RoutingDelta::new(revision::Revision::default(), at));
            }
            Hear::SnapshotChunk(chunk) => {
                let wire = RoutesDelta {
                    base: Some(Revision::default()),
                    revision: Some(Revision::default()),
                    set_servers: chunk.servers,
                    set_tenants: chunk.tenants,
                    set_meetings: chunk.meetings,
                    ..RoutesDelta::default()
                };
                let part = RoutingDelta::try_from(wire).expect("is well-formed");
                let building = self.building.as_mut().expect("was begun");
                building.servers.extend(part.servers);
                building.tenants.extend(part.tenants);
                building.meetings.extend(part.meetings);
            }
            Hear::SnapshotEnd(end) => {
                let whole = self.building.take().expect("was begun");
                self.table = RoutingTable::empty(revision::Revision::default());
                self.table.apply(&whole).expect("is from nothing");
                assert_eq!(self.table.digest().0, end.digest);
                self.ack().await;
            }
            Hear::Delta(delta) => {
                let delta = RoutingDelta::try_from(delta).expect("is well-formed");
                self.table.apply(&delta).expect("follows without a gap");
                self.ack().await;
            }
            Hear::Seal(seal) => self.seal = Some(seal),
            Hear::Libraries(_) => {}
            Hear::Heartbeat(beat) => {
                assert_eq!(beat.revision.map(Into::into), Some(self.table.revision()));
                assert_eq!(beat.digest, self.table.digest().0, "the tables are equal");
                return false;
            }
        }
        true
    }

    async fn ack(&self) {
        let ack = Ack { applied: Some(self.table.revision().into()), ..Ack::default() };
        self.say.send(StreamRoutesRequest { message: Some(Say::Ack(ack)) }).await.expect("is open");
    }

    /// Follows until a heartbeat shows that every change was sent.
    async fn settle(&mut self) {
        while self.step().await {}
    }

    pub(crate) async fn until(&mut self, meetings: usize) {
        while self.table.meeting_count() != meetings {
            self.step().await;
        }
    }
}

fn nothing() -> RoutingTable {
    RoutingTable::empty(revision::Revision::default())
}

#[tokio::test(flavor = "multi_thread")]
async fn x4_a_snapshot_then_deltas_keep_an_edge_equal() {
    let bench = Bench::with_servers(2).await;
    bench.create("before").await;
    let mut edge = Edge::connect(&bench, "e1", None).await;
    edge.until(1).await;
    assert_eq!((edge.snapshots, edge.table.servers().len()), (1, 2));
    for number in 0..20 {
        bench.create(&format!("after-{number}")).await;
    }
    edge.until(21).await;
    edge.settle().await;
    assert_eq!(edge.snapshots, 1, "deltas were enough");
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x4_an_edge_that_comes_back_goes_on_by_deltas() {
    let bench = Bench::with_servers(1).await;
    let mut edge = Edge::connect(&bench, "e1", None).await;
    edge.settle().await;
    let table = edge.table.clone();
    drop(edge);
    bench.create("meanwhile").await;
    let mut edge = Edge::connect(&bench, "e1", Some(table)).await;
    edge.until(1).await;
    edge.settle().await;
    assert_eq!(edge.snapshots, 0);
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x4_a_table_of_another_epoch_or_a_resync_gets_a_snapshot() {
    let bench = Bench::with_servers(1).await;
    bench.create("room").await;
    let stranger = RoutingTable::empty(revision::Revision::new(1, 1));
    let mut edge = Edge::connect(&bench, "e1", Some(stranger)).await;
    edge.until(1).await;
    assert_eq!(edge.snapshots, 1);
    edge.table = RoutingTable::empty(revision::Revision::default()); // it lost something
    let resync = Resync { reason: "gap".into() };
    edge.say.send(StreamRoutesRequest { message: Some(Say::Resync(resync)) }).await.expect("is open");
    while edge.snapshots < 2 {
        // Deltas that were sent before the snapshot do not fit and are skipped.
        let frame = edge.hear.message().await.expect("is well").expect("goes on");
        if let Some(Hear::SnapshotBegin(begin)) = frame.into_message().expect("is readable").message {
            edge.snapshots += 1;
            let at = begin.revision.expect("is set").into();
            edge.building = Some(RoutingDelta::new(revision::Revision::default(), at));
        }
    }
    edge.until(1).await;
    edge.settle().await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edges_are_listed_with_their_lag_while_they_are_connected() {
    let bench = Bench::with_servers(1).await;
    let mut edge = Edge::connect(&bench, "e1", None).await;
    edge.settle().await;
    let list = async || {
        let request = ListEdgesRequest::default();
        let list = EdgeServiceClient::new(bench.channel.clone()).list_edges(request).await;
        list.expect("lists").into_inner().edges
    };
    until("the acknowledgement", async || {
        let edges = list().await;
        (edges.len() == 1 && edges[0].name == "edges/e1" && edges[0].lag == 0).then_some(())
    })
    .await;
    let shed = vec![ShedCount { reason: "tenant_cost".into(), count: 3 }];
    let report = StreamRoutesRequest { message: Some(Say::Ack(Ack { applied: None, shed: shed.clone() })) };
    edge.say.send(report).await.expect("is open");
    until("the refusals", async || {
        let edges = list().await;
        (edges[0].shed == shed && edges[0].lag == 0).then_some(())
    })
    .await;
    drop(edge);
    until("it to go", async || list().await.is_empty().then_some(())).await;
    bench.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_must_open_with_hello_and_ends_when_the_control_plane_stops() {
    let bench = Bench::with_servers(0).await;
    let ack = StreamRoutesRequest { message: Some(Say::Ack(Ack::default())) };
    let refused = RoutingServiceClient::new(bench.channel.clone())
        .stream_routes(futures::stream::iter([ack]))
        .await
        .expect_err("says no hello");
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    let mut edge = Edge::connect(&bench, "e1", None).await;
    edge.settle().await;
    let (stopped, ended) = tokio::join!(bench.plane.shutdown(), async {
        loop {
            match edge.hear.message().await {
                Ok(Some(_)) => {}
                ended => return ended,
            }
        }
    });
    let () = stopped;
    assert_eq!(ended.expect_err("is told").code(), tonic::Code::Unavailable);
    bench.tasks.shutdown().await;
}
