//! The subscription to the routing stream of some control plane, which fills the table.
//!
//! After a lost stream the table serves on and only gets older. Reconnects are spread over several
//! seconds, so that not all edges connect at once to a control plane that restarts (F14).

use std::{sync::Arc, time::Duration};

use rand::RngExt as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tracing::{debug, info, warn};
use usher_model::id::EdgeId;
use usher_proto::v1::{
    Ack, Hello, Resync, StreamRoutesRequest, routing_service_client::RoutingServiceClient,
    stream_routes_request::Message as Outgoing,
};
use usher_runtime::{
    clock,
    control_planes::{ControlPlane, ControlPlanes},
};

use super::{
    current_table::CurrentTable,
    intake::{IntakeError, IntakeStep, StreamIntake},
    shed_reports::ShedReports,
};
use crate::metrics::StreamMetrics;

/// The number of messages to a control plane that may wait. Acknowledgements beyond it are dropped.
const OUTBOX: usize = 16;
/// The largest frame that is read, in bytes.
const FRAME_MAX: usize = 64 << 20;

/// The timeouts and pauses of the subscription.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubscriberTimeouts {
    /// The longest time until the first frame of a stream.
    pub open: Duration,
    /// The longest silence. Heartbeats arrive every two seconds.
    pub idle: Duration,
    /// The time over which reconnects are spread while there is a table.
    pub spread: Duration,
    /// The longest pause between reconnects while there is no table.
    pub eager: Duration,
}

impl Default for SubscriberTimeouts {
    fn default() -> Self {
        Self {
            open: Duration::from_secs(5),
            idle: Duration::from_secs(6),
            spread: Duration::from_secs(6),
            eager: Duration::from_secs(2),
        }
    }
}

/// The identity of this edge in its subscription.
#[derive(Debug, Clone)]
pub struct EdgeIdentity {
    /// The id of the edge.
    pub id: EdgeId,
    /// The address at which the edge serves the BBB API, for operators.
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
    #[error(transparent)]
    Intake(#[from] IntakeError),
}

/// The subscription to the routing stream.
#[derive(Debug)]
pub struct RoutingSubscriber {
    /// The control planes to subscribe to.
    pub planes: ControlPlanes,
    /// The table that is filled.
    pub current: Arc<CurrentTable>,
    /// The identity of this edge.
    pub identity: EdgeIdentity,
    /// The timeouts and pauses.
    pub patience: SubscriberTimeouts,
    /// The counters of the stream.
    pub metrics: StreamMetrics,
    /// Whether the table came from disk.
    pub from_disk: bool,
}

impl RoutingSubscriber {
    /// Subscribes, and again after every failure, until `stop` is cancelled.
    ///
    /// # Errors
    /// None.
    pub async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let mut failures = 0_u32;
        let mut next = rand::rng().random_range(0..self.planes.len());
        loop {
            let plane = self.planes.nth(next).clone();
            let acks = self.metrics.acked();
            let ended = tokio::select! {
                ended = self.stream(&plane) => ended,
                () = stop.cancelled() => return Ok(()),
            };
            failures = if self.metrics.acked() > acks { 0 } else { failures.saturating_add(1) };
            self.metrics.count_end(matches!(ended, StreamEnd::Intake(_)));
            if let StreamEnd::Intake(error) = &ended {
                warn!(plane = plane.address, %error, "routing stream is unusable");
            } else {
                info!(plane = plane.address, reason = %ended, "routing stream ended");
            }
            next = next.wrapping_add(1);
            tokio::select! {
                () = tokio::time::sleep(self.pause(failures)) => {}
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let longest = if self.current.revision().is_some() && !self.from_disk {
            self.patience.spread
        } else {
            let step = Duration::from_millis(50).saturating_mul(1 << failures.min(6));
            step.min(self.patience.eager)
        };
        longest.mul_f64(rand::rng().random_range(0.0..1.0))
    }

    /// Follows one stream to its end.
    async fn stream(&mut self, plane: &ControlPlane) -> StreamEnd {
        let mut intake = StreamIntake::new(Arc::clone(&self.current), self.from_disk);
        let end = match self.follow(plane, &mut intake).await {
            Ok(()) => StreamEnd::Closed,
            Err(end) => end,
        };
        self.from_disk = intake.from_disk();
        end
    }

    async fn follow(&self, plane: &ControlPlane, intake: &mut StreamIntake) -> Result<(), StreamEnd> {
        let (outbox, outgoing) = mpsc::channel(OUTBOX);
        let table = self.current.load_full();
        let hello = Hello {
            edge_id: self.identity.id.to_string(),
            address: self.identity.address.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            // A table from disk may be a mixture of states, so that only a snapshot can follow it.
            have: self.current.revision().filter(|_| !self.from_disk).map(Into::into),
            servers: table.iter().flat_map(|table| table.used_servers()).collect(),
            tenants: table.iter().flat_map(|table| table.tenant_names()).collect(),
            seal: self.current.seal(),
            library_address: String::new(),
        };
        send(&outbox, Outgoing::Hello(hello));
        let mut client =
            RoutingServiceClient::new(plane.connection.clone()).max_decoding_message_size(FRAME_MAX);
        let opened =
            tokio::time::timeout(self.patience.open, client.stream_routes(ReceiverStream::new(outgoing)));
        let mut frames = opened.await.map_err(|_| StreamEnd::Silent)??.into_inner();
        debug!(plane = plane.address, "routing stream is open");
        let mut reports = ShedReports::default();
        loop {
            let frame = tokio::time::timeout(self.patience.idle, frames.message());
            let Some(frame) = frame.await.map_err(|_| StreamEnd::Silent)?? else { return Ok(()) };
            let frame = frame.into_message().map_err(|error| Status::internal(error.to_string()))?;
            if let Some(shed) = reports.due(&self.metrics.shed, clock::now()) {
                send(&outbox, Outgoing::Ack(Ack { applied: None, shed }));
            }
            let Some(message) = frame.message else { continue };
            match intake.take(message)? {
                IntakeStep::Quiet => {}
                IntakeStep::Applied(revision) => {
                    self.metrics.applied(revision);
                    send(&outbox, Outgoing::Ack(Ack { applied: Some(revision.into()), shed: Vec::new() }));
                }
                IntakeStep::Resync(reason) => {
                    warn!(plane = plane.address, reason, "the table cannot be continued");
                    self.metrics.count_resync();
                    send(&outbox, Outgoing::Resync(Resync { reason: reason.to_owned() }));
                }
            }
        }
    }
}

/// Sends a message unless the outbox is full, which means that the control plane does not read. The
/// next acknowledgement covers a dropped one, and a dropped resync is requested again after the
/// idle timeout.
fn send(outbox: &mpsc::Sender<StreamRoutesRequest>, message: Outgoing) {
    if outbox.try_send(StreamRoutesRequest { message: Some(message) }).is_err() {
        debug!("a message to the control plane was dropped");
    }
}

#[cfg(test)]
mod tests {
    use usher_model::revision::Revision;

    use super::*;
    use crate::control::table::LiveTable;

    fn subscriber() -> RoutingSubscriber {
        let current = Arc::new(CurrentTable::default());
        RoutingSubscriber {
            planes: ControlPlanes::new(&["http://127.0.0.1:1".into()], None).unwrap(),
            current,
            identity: EdgeIdentity { id: EdgeId::parse("e").unwrap(), address: String::new() },
            patience: SubscriberTimeouts::default(),
            metrics: StreamMetrics::default(),
            from_disk: false,
        }
    }

    #[tokio::test]
    async fn f14_reconnects_are_spread_over_seconds_once_there_is_a_table() {
        let subscriber = subscriber();
        let longest = |failures| (0..500).map(|_| subscriber.pause(failures)).max().unwrap();
        assert!(longest(1) <= Duration::from_millis(100), "without a table there is no time to lose");
        assert!(longest(60) <= SubscriberTimeouts::default().eager);
        subscriber.current.replace(LiveTable::empty(Revision::new(1, 1)));
        let pauses: Vec<_> = (0..500).map(|_| subscriber.pause(0)).collect();
        assert!(pauses.iter().max().unwrap() > &Duration::from_secs(5));
        assert!(pauses.iter().filter(|pause| **pause < Duration::from_secs(1)).count() < 150);
    }
}
