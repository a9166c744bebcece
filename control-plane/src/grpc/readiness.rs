//! Readiness of the services: before this replica has read the store, an answer about the fleet
//! would be a statement about a fleet that it does not know. All such requests are refused here and
//! not in the handlers, so that no handler can be forgotten.

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status, service::Interceptor};
use tonic_health::{ServingStatus, server::HealthReporter};

use super::status::RpcRefusal;
use crate::tasks::fleet_handle::FleetHandle;

/// Name of the port as a whole in `grpc.health.v1`.
const WHOLE_PORT: &str = "";

/// Refuses the requests to a service until this replica has read the state that the service
/// answers from.
#[derive(Clone)]
pub struct ReadGate {
    fleet: FleetHandle,
    deliveries: Option<watch::Receiver<bool>>,
}

impl ReadGate {
    /// Returns the gate of a service that answers from the fleet.
    pub fn of_fleet(fleet: FleetHandle) -> Self {
        Self { fleet, deliveries: None }
    }

    /// Returns the gate of a service that answers from the fleet and from the waiting deliveries;
    /// `read` tells whether the deliveries were read.
    pub fn of_deliveries(fleet: FleetHandle, read: watch::Receiver<bool>) -> Self {
        Self { fleet, deliveries: Some(read) }
    }

    /// Checks that the state was read. An open gate never closes again.
    ///
    /// # Errors
    /// The state was not read yet: `UNAVAILABLE` with the reason `NOT_READY`, for another replica or
    /// a later attempt.
    pub fn check(&self) -> Result<(), Status> {
        if self.is_open() {
            return Ok(());
        }
        let problem = "this control plane has not read the store yet; try again, or call another one";
        Err(RpcRefusal::retry("NOT_READY", problem).into())
    }

    fn is_open(&self) -> bool {
        self.fleet.complete() && self.deliveries.as_ref().is_none_or(|read| *read.borrow())
    }

    /// Waits until the gate is open. Without the tasks that read, it waits for ever.
    async fn opened(&mut self) {
        // A revision is published after the fleet became complete.
        let (fleet, mut revisions) = (self.fleet.clone(), self.fleet.revisions());
        let mut read = revisions.wait_for(|_| fleet.complete()).await.is_ok();
        if let Some(deliveries) = &mut self.deliveries {
            read &= deliveries.wait_for(|read| *read).await.is_ok();
        }
        if !read {
            std::future::pending::<()>().await;
        }
    }
}

impl Interceptor for ReadGate {
    fn call(&mut self, request: Request<()>) -> Result<Request<()>, Status> {
        self.check().map(|()| request)
    }
}

/// Reports by `grpc.health.v1` which services answer. The whole port, with the empty name, is as
/// healthy as the services of the fleet.
pub(super) struct HealthReport {
    reporter: HealthReporter,
    fleet: (ReadGate, Vec<&'static str>),
    deliveries: (ReadGate, Vec<&'static str>),
}

impl HealthReport {
    /// Begins a report in which the named services of both gates are not serving.
    pub(super) async fn begin(
        reporter: HealthReporter,
        (fleet, mut of_fleet): (ReadGate, Vec<&'static str>),
        deliveries: (ReadGate, Vec<&'static str>),
    ) -> Self {
        of_fleet.push(WHOLE_PORT);
        let report = Self { reporter, fleet: (fleet, of_fleet), deliveries };
        report.set(&report.fleet.1, ServingStatus::NotServing).await;
        report.set(&report.deliveries.1, ServingStatus::NotServing).await;
        report
    }

    /// Reports each service as serving from the time at which its gate opens until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) -> anyhow::Result<()> {
        let (mut fleet, mut deliveries) = (self.fleet.0.clone(), self.deliveries.0.clone());
        let opening = async {
            fleet.opened().await;
            self.set(&self.fleet.1, ServingStatus::Serving).await;
            deliveries.opened().await;
            self.set(&self.deliveries.1, ServingStatus::Serving).await;
        };
        tokio::select! {
            () = opening => stop.cancelled().await,
            () = stop.cancelled() => {}
        }
        let names =
            std::mem::take(&mut self.fleet.1).into_iter().chain(std::mem::take(&mut self.deliveries.1));
        self.set(&names.collect::<Vec<_>>(), ServingStatus::NotServing).await;
        Ok(())
    }

    async fn set(&self, services: &[&'static str], status: ServingStatus) {
        for service in services {
            self.reporter.set_service_status(service, status).await;
        }
    }
}
