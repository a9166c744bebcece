//! The subscription of the library to the routing stream. After a lost stream the last facts hold.

use std::time::Duration;

use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{info, warn};
use usher_model::{
    id::EdgeId,
    routing::{RevisionGap, RoutingDelta, ServerRoute, TenantRoute},
};
use usher_proto::{
    ConvertError,
    v1::{
        Ack, Hello, StreamRoutesRequest, routing_service_client::RoutingServiceClient,
        stream_routes_request::Message as Outgoing, stream_routes_response::Message,
    },
};
use usher_runtime::control_planes::{ControlPlane, ControlPlanes};

use super::{FleetFacts, FleetView};

/// The number of messages to a control plane that may wait.
const OUTBOX: usize = 16;
/// The largest frame that is read, in bytes.
const FRAME_MAX: usize = 64 << 20;
/// The longest time until the first frame of a stream.
const OPEN_WITHIN: Duration = Duration::from_secs(5);
/// The longest silence. Heartbeats arrive every two seconds.
const SILENCE_MAX: Duration = Duration::from_secs(6);
/// The longest pause between two streams.
const PAUSE: Duration = Duration::from_secs(2);

/// The identity of this library in its subscription.
#[derive(Debug, Clone)]
pub struct LibraryIdentity {
    /// The name of the library.
    pub id: EdgeId,
    /// The address of its port, as edges reach it: `http://HOST:PORT`.
    pub address: String,
}

/// The reason why a stream ended.
#[derive(Debug, thiserror::Error)]
enum StreamEnd {
    #[error("the control plane is silent")]
    Silent,
    #[error("the stream ended")]
    Closed,
    #[error("the stream failed: {}", .0.message())]
    Status(#[from] Status),
    #[error("an entry of the stream cannot be read")]
    Entry(#[from] ConvertError),
    #[error(transparent)]
    Gap(#[from] RevisionGap),
    #[error("frames of a snapshot arrive out of order")]
    Order,
}

/// The task that follows the fleet.
#[derive(Debug)]
pub struct RouteFollower {
    /// The control planes to subscribe to.
    pub planes: ControlPlanes,
    /// The view that is kept up to date.
    pub view: FleetView,
    /// The identity of this library.
    pub identity: LibraryIdentity,
}

impl RouteFollower {
    /// Subscribes, and again after every failure, until `stop` is cancelled.
    ///
    /// # Errors
    /// None.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut next = rand::rng().random_range(0..self.planes.len());
        loop {
            let plane = self.planes.nth(next);
            let ended = tokio::select! {
                ended = self.follow(plane) => ended.err().unwrap_or(StreamEnd::Closed),
                () = stop.cancelled() => return Ok(()),
            };
            match ended {
                StreamEnd::Silent | StreamEnd::Closed | StreamEnd::Status(_) => {
                    info!(plane = plane.address, reason = %ended, "routing stream ended");
                }
                _ => warn!(plane = plane.address, error = %ended, "routing stream is unusable"),
            }
            next = next.wrapping_add(1);
            let pause = PAUSE.mul_f64(rand::rng().random_range(0.0..1.0));
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Follows one stream to its end. Each stream begins with a snapshot, because the library keeps no meetings and
    /// so cannot prove that it has a revision.
    async fn follow(&self, plane: &ControlPlane) -> Result<(), StreamEnd> {
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let hello = Hello {
            edge_id: self.identity.id.to_string(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            library_address: self.identity.address.clone(),
            ..Hello::default()
        };
        send(&outbox, Outgoing::Hello(hello));
        let mut client =
            RoutingServiceClient::new(plane.connection.clone()).max_decoding_message_size(FRAME_MAX);
        let opened = tokio::time::timeout(OPEN_WITHIN, client.stream_routes(ReceiverStream::new(outgoing)));
        let mut frames = opened.await.map_err(|_| StreamEnd::Silent)??.into_inner();
        let mut building = None;
        loop {
            let frame = tokio::time::timeout(SILENCE_MAX, frames.message());
            let Some(frame) = frame.await.map_err(|_| StreamEnd::Silent)?? else { return Ok(()) };
            let frame = frame.into_message().map_err(|error| Status::internal(error.to_string()))?;
            let Some(message) = frame.message else { continue };
            if let Some(facts) = self.take(message, &mut building)? {
                let applied = Some(facts.revision().into());
                self.view.replace(facts);
                send(&outbox, Outgoing::Ack(Ack { applied, shed: Vec::new() }));
            }
        }
    }

    /// Returns the facts after a frame, if it changes them.
    fn take(
        &self,
        message: Message,
        building: &mut Option<FleetFacts>,
    ) -> Result<Option<FleetFacts>, StreamEnd> {
        match message {
            Message::SnapshotBegin(begin) => {
                let revision = begin.revision.ok_or(ConvertError::Missing("revision"))?.into();
                *building = Some(FleetFacts::empty(revision));
                Ok(None)
            }
            Message::SnapshotChunk(chunk) => {
                let servers =
                    chunk.servers.into_iter().map(ServerRoute::try_from).collect::<Result<_, _>>()?;
                let tenants =
                    chunk.tenants.into_iter().map(TenantRoute::try_from).collect::<Result<_, _>>()?;
                building.as_mut().ok_or(StreamEnd::Order)?.fill(servers, tenants);
                Ok(None)
            }
            Message::SnapshotEnd(_) => Ok(Some(building.take().ok_or(StreamEnd::Order)?)),
            Message::Delta(delta) => {
                let mut facts = (*self.view.facts()).clone();
                facts.apply(RoutingDelta::try_from(delta)?)?;
                Ok(Some(facts))
            }
            Message::Heartbeat(_) | Message::Seal(_) | Message::Libraries(_) => Ok(None),
        }
    }
}

/// Sends a message unless the outbox is full, which means that the control plane does not read. The next
/// acknowledgement covers a dropped one.
fn send(outbox: &mpsc::Sender<StreamRoutesRequest>, message: Outgoing) {
    let _ = outbox.try_send(StreamRoutesRequest { message: Some(message) });
}
