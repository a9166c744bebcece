//! A control plane that only streams routes: a synthetic table, then changes to it at a constant
//! rate. Joins need no more, and a table of a million meetings is complete in a second.

use std::{net::SocketAddr, pin::Pin, time::Duration};

use anyhow::Result;
use tokio::{net::TcpListener, sync::mpsc, time::MissedTickBehavior};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream},
};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use usher_model::{
    revision::Revision,
    routing::{RoutingDelta, TableDigest},
};
use usher_proto::{
    SharedFrame,
    v1::{
        Heartbeat, SnapshotBegin, SnapshotChunk, SnapshotEnd, StreamRoutesRequest, StreamRoutesResponse,
        routing_service_server::{RoutingService, RoutingServiceServer},
        stream_routes_response::Message,
    },
};
use usher_runtime::tasks::TaskGroup;

use crate::synthetic;

/// The number of meetings in one chunk of a snapshot.
const CHUNK: usize = 1_000;

/// The time between two deltas.
const TICK: Duration = Duration::from_millis(5);

/// The interval of heartbeats while the table does not change.
const HEARTBEAT: Duration = Duration::from_secs(2);

const FIRST: Revision = Revision::new(1, 1);

/// The content of the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamedTable {
    /// The number of meetings in the snapshot.
    pub(crate) meetings: usize,
    /// The number of changes per second after the snapshot.
    pub(crate) changes: usize,
}

/// A server that runs until it is stopped.
#[derive(Debug)]
pub(crate) struct RouteServer {
    pub(crate) address: SocketAddr,
    tasks: TaskGroup,
}

impl RouteServer {
    pub(crate) async fn start(table: StreamedTable) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, tasks) = (listener.local_addr()?, TaskGroup::new());
        let service = RoutingServiceServer::new(RouteStreamer { table, tasks: tasks.clone() });
        tasks.spawn("routes", |stop| async move {
            let incoming = TcpListenerStream::new(listener);
            let router = Server::builder().tcp_nodelay(true).add_service(service);
            tokio::select! {
                served = router.serve_with_incoming(incoming) => Ok(served?),
                () = stop.cancelled() => Ok(()),
            }
        });
        Ok(Self { address, tasks })
    }

    pub(crate) async fn stop(self) {
        self.tasks.shutdown().await;
    }
}

struct RouteStreamer {
    table: StreamedTable,
    tasks: TaskGroup,
}

#[tonic::async_trait]
impl RoutingService for RouteStreamer {
    type StreamRoutesStream = Pin<Box<dyn Stream<Item = Result<SharedFrame, Status>> + Send>>;

    async fn stream_routes(
        &self,
        request: Request<Streaming<StreamRoutesRequest>>,
    ) -> Result<Response<Self::StreamRoutesStream>, Status> {
        let (frames, stream) = mpsc::channel(64);
        let (table, stop) = (self.table, self.tasks.stopping());
        self.tasks.spawn_short("stream", async move {
            // The end of the stream, by either side, is no error here: the edge would report that
            // it has no table.
            tokio::select! {
                () = stop.cancelled() => {}
                () = drain(request.into_inner()) => {}
                Err(error) = stream_table(table, &frames) => eprintln!("bench: routing stream: {error:#}"),
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(stream))))
    }
}

/// Reads the messages of the edge until it closes the stream.
async fn drain(mut requests: Streaming<StreamRoutesRequest>) {
    while let Ok(Some(_)) = requests.message().await {}
}

type Frames = mpsc::Sender<Result<SharedFrame, Status>>;

async fn send(frames: &Frames, message: Message) -> Result<()> {
    let frame = SharedFrame::encode_once(&StreamRoutesResponse { message: Some(message) });
    Ok(frames.send(Ok(frame)).await?)
}

async fn stream_table(table: StreamedTable, frames: &Frames) -> Result<()> {
    let (servers, tenant) = (synthetic::servers()?, synthetic::tenant());
    let mut digest = TableDigest::default();
    for server in &servers {
        digest.add(server);
    }
    digest.add(&tenant);
    let begin = SnapshotBegin {
        revision: Some(FIRST.into()),
        servers: servers.len() as u64,
        tenants: 1,
        meetings: table.meetings as u64,
        shrink_allowed: false,
    };
    send(frames, Message::SnapshotBegin(begin)).await?;
    let mut chunk = SnapshotChunk {
        servers: servers.iter().map(Into::into).collect(),
        tenants: vec![(&tenant).into()],
        meetings: Vec::new(),
    };
    for number in 0..table.meetings {
        let meeting = synthetic::meeting(number)?;
        digest.add(&meeting);
        chunk.meetings.push((&meeting).into());
        if chunk.meetings.len() == CHUNK {
            send(frames, Message::SnapshotChunk(std::mem::take(&mut chunk))).await?;
        }
    }
    send(frames, Message::SnapshotChunk(chunk)).await?;
    let end = SnapshotEnd { revision: Some(FIRST.into()), digest: digest.0 };
    send(frames, Message::SnapshotEnd(end)).await?;
    stream_changes(table, digest.0, frames).await
}

/// Adds and removes meetings that no user joins; without changes, sends only heartbeats.
async fn stream_changes(table: StreamedTable, digest: u64, frames: &Frames) -> Result<()> {
    let each = table.changes * TICK.as_millis() as usize / 1_000;
    let mut ticks = tokio::time::interval(if each > 0 { TICK } else { HEARTBEAT });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut at = FIRST;
    loop {
        ticks.tick().await;
        if each == 0 {
            send(frames, Message::Heartbeat(Heartbeat { revision: Some(at.into()), digest })).await?;
            continue;
        }
        let next = Revision::new(at.epoch, at.seq + 1);
        let mut delta = RoutingDelta::new(at, next);
        let (round, adds) = (at.seq / 2, at.seq % 2 == 1);
        for number in 0..each {
            let meeting = synthetic::meeting(table.meetings + round as usize % 1_000 * each + number)?;
            delta.meetings.insert(meeting.key.clone(), adds.then_some(meeting));
        }
        send(frames, Message::Delta((&delta).into())).await?;
        at = next;
    }
}
