//! `RoutingService`: the routing table for edges, once as a whole and then by deltas (design 6).

mod fan_out;
mod session;
mod shrink;
mod snapshot;

use std::{sync::Arc, time::Duration};

use futures::{Stream, StreamExt};
use tokio::sync::{Semaphore, mpsc, watch};
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

use self::{fan_out::RouteFanOut, session::RouteSession};
use super::status::RpcRefusal;
use crate::{
    core::{epoch::SealedRevision, unpolled::RememberedNames},
    tasks::{edges::ConnectedEdges, fleet_handle::FleetHandle},
};

/// Longest time in which an edge must send its hello.
const HELLO_WITHIN: Duration = Duration::from_secs(10);
/// Largest number of frames in transit to one edge.
const IN_FLIGHT: usize = 64;
/// Largest number of snapshots sent at the same time. Further edges wait, so that a hundred edges
/// that reconnect at once do not starve other requests (F14).
const SNAPSHOTS: usize = 8;

/// The implementation of `RoutingService`.
pub struct RoutingRpc {
    fleet: FleetHandle,
    edges: ConnectedEdges,
    libraries: watch::Receiver<Vec<String>>,
    tasks: TaskGroup,
    heartbeat: Duration,
    snapshots: Arc<Semaphore>,
    fan_out: RouteFanOut,
}

impl RoutingRpc {
    /// Returns the service that streams the routing table of `fleet`, and the addresses of the recordings libraries.
    pub fn new(
        fleet: FleetHandle,
        edges: ConnectedEdges,
        libraries: watch::Receiver<Vec<String>>,
        tasks: TaskGroup,
        heartbeat: Duration,
    ) -> Self {
        let (fan_out, snapshots) = (RouteFanOut::new(), Arc::new(Semaphore::new(SNAPSHOTS)));
        tasks.spawn("route fan-out", |stop| fan_out.clone().run(fleet.changes(), stop));
        Self { fleet, edges, libraries, tasks, heartbeat, snapshots, fan_out }
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
    /// Starts the stream of one edge. `inbound` brings the edge's messages; the returned stream
    /// carries the frames to the edge. The caller checks that the fleet was read
    /// ([`super::readiness`]): an edge must not take an incomplete table for the whole.
    ///
    /// # Errors
    /// The edge's hello is missing or malformed.
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
        let held = hello.have.map(Revision::from);
        if held.is_some_and(|held| held.epoch != self.fleet.revision().epoch) {
            self.fleet.await_also(names(&hello));
        }
        if let Some(v1::Seal { revision: Some(revision), mac }) = hello.seal {
            self.fleet.take_seal(SealedRevision { revision: revision.into(), mac });
        }
        let (sender, receiver) = mpsc::channel(IN_FLIGHT);
        let now = clock::now();
        let edge = if hello.library_address.is_empty() {
            self.edges.connect(id, hello.address, hello.version, now)
        } else {
            self.edges.connect_library(id, hello.library_address, hello.version, now)
        };
        let session = RouteSession {
            edge,
            libraries: self.libraries.clone(),
            fleet: self.fleet.clone(),
            fan_out: self.fan_out.clone(),
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

/// Returns the servers and tenants that an edge remembers of its table's epoch. Malformed names are
/// left out.
fn names(hello: &Hello) -> RememberedNames {
    RememberedNames {
        servers: hello.servers.iter().filter_map(|id| ServerId::parse(id).ok()).collect(),
        tenants: hello.tenants.iter().filter_map(|id| TenantId::parse(id).ok()).collect(),
    }
}
