//! `RoutingService`: the routing table to edges, whole once and then by deltas (design 6).

mod session;
mod shrink;
mod snapshot;

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use usher_model::{
    id::{EdgeId, ServerId, TenantId},
    revision::Revision,
};
use usher_proto::{
    SharedFrame,
    v1::{
        self, Hello, StreamRoutesRequest, routing_service_server::RoutingService,
        stream_routes_request::Message,
    },
};
use usher_runtime::{clock, tasks::TaskGroup};

use self::session::RouteSession;
use super::status::RpcRefusal;
use crate::{
    core::{epoch::SealedRevision, unpolled::RememberedNames},
    tasks::{edges::ConnectedEdges, fleet_handle::FleetHandle},
};

/// Time an edge has to say hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Frames on their way to one edge.
const IN_FLIGHT: usize = 64;
/// Snapshots that are sent at the same time; the others wait, so that a hundred edges that come back
/// at once do not starve everything else (F14).
const SNAPSHOTS: usize = 8;

/// The service.
pub struct RoutingRpc {
    fleet: FleetHandle,
    edges: ConnectedEdges,
    tasks: TaskGroup,
    heartbeat: Duration,
    snapshots: Arc<Semaphore>,
}

impl RoutingRpc {
    /// Streams `fleet`'s routing table.
    pub fn new(fleet: FleetHandle, edges: ConnectedEdges, tasks: TaskGroup, heartbeat: Duration) -> Self {
        Self { fleet, edges, tasks, heartbeat, snapshots: Arc::new(Semaphore::new(SNAPSHOTS)) }
    }
}

#[tonic::async_trait]
impl RoutingService for RoutingRpc {
    type StreamRoutesStream = ReceiverStream<Result<SharedFrame, Status>>;

    async fn stream_routes(
        &self,
        request: Request<Streaming<StreamRoutesRequest>>,
    ) -> Result<Response<Self::StreamRoutesStream>, Status> {
        self.open(request.into_inner()).await.map(Response::new)
    }
}

impl RoutingRpc {
    /// Starts one edge's stream: what it says comes by `inbound`, what it is sent by the stream that
    /// is returned.
    ///
    /// # Errors
    /// The edge does not say hello as it should, or this replica has no table yet.
    pub async fn open(
        &self,
        mut inbound: impl Stream<Item = Result<StreamRoutesRequest, Status>> + Send + Unpin + 'static,
    ) -> Result<<Self as RoutingService>::StreamRoutesStream, Status> {
        let first = tokio::time::timeout(HELLO_WITHIN, inbound.next()).await;
        let first = first.map_err(|_| RpcRefusal::Deadline("no `hello` came in time".into()))?.transpose()?;
        let Some(Message::Hello(hello)) = first.and_then(|request| request.message) else {
            return Err(RpcRefusal::field("message", "the first message must be `hello`").into());
        };
        let id = EdgeId::parse(&hello.edge_id)
            .map_err(|error| RpcRefusal::field("hello.edge_id", error.to_string()))?;
        if !self.fleet.complete() {
            return Err(not_ready().into());
        }
        let held = hello.have.map(Revision::from);
        if held.is_some_and(|held| held.epoch != self.fleet.revision().epoch) {
            self.fleet.await_also(names(&hello));
        }
        if let Some(v1::Seal { revision: Some(revision), mac }) = hello.seal {
            self.fleet.take_seal(SealedRevision { revision: revision.into(), mac });
        }
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let now = clock::now();
        let session = RouteSession {
            edge: self.edges.connect(id, hello.address, hello.version, now),
            fleet: self.fleet.clone(),
            held,
            heartbeat: self.heartbeat,
            snapshots: self.snapshots.clone(),
            stopping: self.tasks.stopping(),
            sender,
        };
        self.tasks.spawn_short("edge stream", session.run(inbound));
        Ok(ReceiverStream::new(receiver))
    }
}

/// Returns what an edge knows of the epoch that its table is of. What is no name is left out.
fn names(hello: &Hello) -> RememberedNames {
    RememberedNames {
        servers: hello.servers.iter().filter_map(|id| ServerId::parse(id).ok()).collect(),
        tenants: hello.tenants.iter().filter_map(|id| TenantId::parse(id).ok()).collect(),
    }
}

/// The table is not known yet: an incomplete one must never be taken for the whole.
fn not_ready() -> RpcRefusal {
    RpcRefusal::Retry {
        reason: "NOT_READY",
        problem: "this control plane has not read the store yet".into(),
        after: Duration::from_secs(1),
    }
}
