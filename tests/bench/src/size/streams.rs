//! Many edges without tables: each has a connection and a routing stream, reads every frame and
//! acknowledges every delta, as an edge does. 500 tables of a million meetings do not fit into one
//! machine, so these edges say that they have the present table already.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;
use usher_model::revision::Revision;
use usher_proto::v1::{
    Ack, Hello, StreamRoutesRequest, routing_service_client::RoutingServiceClient,
    stream_routes_request::Message as Outgoing, stream_routes_response::Message,
};
use usher_runtime::tasks::TaskGroup;

use crate::deltas::marks::RevisionMarks;

/// The messages to the control plane that may wait, as at an edge.
const OUTBOX: usize = 16;

/// The streams of edges.
pub(super) struct EdgeStreams {
    applied: Vec<watch::Receiver<Revision>>,
    marks: watch::Sender<Option<Arc<RevisionMarks>>>,
    tasks: TaskGroup,
}

/// One stream.
struct EdgeStream {
    name: String,
    plane: SocketAddr,
    applied: watch::Sender<Revision>,
    marks: watch::Receiver<Option<Arc<RevisionMarks>>>,
}

impl EdgeStreams {
    /// Opens `count` streams at a control plane, of edges whose tables are at `have`.
    pub(super) fn open(plane: SocketAddr, count: usize, have: Revision) -> Self {
        let (mut applied, tasks, marks) = (Vec::new(), TaskGroup::new(), watch::Sender::new(None));
        for number in 0..count {
            let (sender, receiver) = watch::channel(have);
            let name = format!("bench-{number}");
            let stream = EdgeStream { name, plane, applied: sender, marks: marks.subscribe() };
            tasks.spawn("edge", |stop| async move {
                tokio::select! {
                    followed = stream.follow(have) => {
                        followed.inspect_err(|error| eprintln!("bench: stream of an edge: {error:#}"))
                    }
                    () = stop.cancelled() => Ok(()),
                }
            });
            applied.push(receiver);
        }
        Self { applied, marks, tasks }
    }

    /// Waits until every edge is at `revision` or later.
    pub(super) async fn reach(&mut self, revision: Revision, patience: Duration) -> Result<()> {
        for (number, applied) in self.applied.iter_mut().enumerate() {
            let reached = applied.wait_for(|at| at.reaches(revision));
            let reached = tokio::time::timeout(patience, reached).await;
            let reached = reached.with_context(|| format!("stream {number} is not at {revision} in time"))?;
            reached.with_context(|| format!("stream {number} ended"))?;
        }
        Ok(())
    }

    /// Records the revisions that each edge applies from now on.
    pub(super) fn mark(&self, marks: &Arc<RevisionMarks>) {
        self.marks.send_replace(Some(Arc::clone(marks)));
    }

    pub(super) async fn stop(self) {
        self.tasks.shutdown().await;
    }
}

impl EdgeStream {
    async fn follow(self, have: Revision) -> Result<()> {
        let endpoint = Endpoint::from_shared(format!("http://{}", self.plane))?.tcp_nodelay(true);
        let mut client = RoutingServiceClient::new(endpoint.connect().await?);
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let hello = Hello {
            edge_id: self.name.clone(),
            address: self.name.clone(),
            have: Some(have.into()),
            ..Hello::default()
        };
        outbox.send(StreamRoutesRequest { message: Some(Outgoing::Hello(hello)) }).await?;
        let mut frames = client.stream_routes(ReceiverStream::new(outgoing)).await?.into_inner();
        let mut at = have;
        while let Some(frame) = frames.message().await? {
            match frame.into_message()?.message {
                Some(Message::Delta(delta)) => {
                    let next = Revision::from(delta.revision.context("a delta has a revision")?);
                    if let Some(marks) = &*self.marks.borrow() {
                        marks.applied(at.seq, next.seq);
                    }
                    at = next;
                    self.applied.send_replace(at);
                    let ack = Ack { applied: Some(at.into()), shed: Vec::new() };
                    // As at an edge, the next acknowledgement covers one that finds no room.
                    let _ = outbox.try_send(StreamRoutesRequest { message: Some(Outgoing::Ack(ack)) });
                }
                Some(Message::SnapshotBegin(_)) => {
                    bail!("{} got a snapshot, but cannot hold a table", self.name)
                }
                _ => {}
            }
        }
        bail!("the control plane ended the stream of {}", self.name)
    }
}
