//! Gives the tenant `default` its configured secrets once the store has been read, and again in each
//! new epoch, in which earlier writes may be lost.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tracing::warn;
use usher_bbb::secret::Secret;
use usher_model::{id::TenantId, routing::TenantRoute, settings::Settings};
use usher_runtime::clock;

use crate::tasks::{admin::FleetAdmin, backoff::Backoff, fleet_handle::FleetHandle};

pub(super) struct FirstTenant {
    fleet: FleetHandle,
    admin: FleetAdmin,
    secrets: Vec<Secret>,
    deadline: Duration,
    ready: CancellationToken,
}

impl FirstTenant {
    pub(super) fn new(
        settings: &Settings,
        fleet: FleetHandle,
        admin: FleetAdmin,
        ready: CancellationToken,
    ) -> Self {
        let (secrets, deadline) = (settings.secrets.clone(), settings.store.timeout);
        Self { fleet, admin, secrets, deadline, ready }
    }

    /// Runs in every epoch until asked to stop.
    pub(super) async fn run(self, stop: CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.follow() => {}
        }
    }

    async fn follow(&self) {
        let mut revisions = self.fleet.revisions();
        let mut done = None;
        loop {
            let epoch = revisions.borrow_and_update().epoch;
            if self.fleet.complete() && done != Some(epoch) {
                self.arrive().await;
                done = Some(epoch);
            }
            if revisions.changed().await.is_err() {
                return;
            }
        }
    }

    async fn arrive(&self) {
        let mut backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(5));
        while let Err(error) = self.set_secrets().await {
            warn!(error = format!("{error:#}"), "the tenant `default` could not be given its secrets");
            tokio::time::sleep(backoff.pause()).await;
        }
        self.ready.cancel();
    }

    /// Gives the tenant `default` the configured secrets; hosts and the like stay as they are.
    async fn set_secrets(&self) -> anyhow::Result<()> {
        if self.secrets.is_empty() {
            return Ok(());
        }
        let id = TenantId::default_tenant();
        let old = self.fleet.read(|fleet| fleet.tenant(&id).map(|stored| stored.value.clone()));
        let old = old.unwrap_or_else(|| TenantRoute::new(id));
        let tenant = TenantRoute { secrets: self.secrets.clone(), ..old };
        self.admin.set_tenant(&tenant, clock::now() + self.deadline).await?;
        Ok(())
    }
}
