//! A tenant whose calls fail at servers that work, in every way that a caller can cause.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use usher_bbb::secret::Secret;
use usher_edge_proxy::core::evidence::CallOrigin;
use usher_model::{
    id::{MeetingId, TenantId},
    routing::TenantRoute,
};
use usher_proto::v1::FailureKind;
use usher_runtime::clock;

use crate::cluster::SimCluster;

/// The mean time between two of its calls.
const EVERY: Duration = Duration::from_millis(150);
/// The number of its meetings.
const MEETINGS: u64 = 30;

fn hostile() -> TenantId {
    TenantId::parse("hostile").expect("is an id")
}

impl SimCluster {
    /// Adds the tenant, as an operator does, beside the ordinary tenant.
    pub(crate) async fn add_hostile_tenant(&self) {
        let tenant = TenantRoute { secrets: vec![Secret::new("hostile")], ..TenantRoute::new(hostile()) };
        let complete = |running: &&Arc<crate::replica::RunningReplica>| running.engine.fleet.complete();
        let Some(running) = self.running().iter().find(complete).cloned() else { return };
        let deadline = clock::now() + Duration::from_secs(5);
        let _ = running.engine.admin.create_tenant(&tenant, deadline).await; // in most calls the tenant exists
    }

    /// Runs the tenant until `until`, through every edge and against every server.
    pub(crate) async fn hostile_tenant(self: Arc<Self>, until: Instant) {
        self.add_hostile_tenant().await;
        while Instant::now() < until {
            sleep(self.chance.until_next(EVERY)).await;
            let server = self.chance.one_of(&self.server_ids()).clone();
            let kinds = [FailureKind::ServerError, FailureKind::Timeout, FailureKind::BadAnswer];
            let kind = *self.chance.one_of(&kinds);
            let meeting = MeetingId::parse(&format!("h{}", self.chance.below(MEETINGS))).expect("is an id");
            let caller = CallOrigin { tenant: hostile(), meeting: Some(meeting), brings_documents: false };
            self.some_edge().report_failure(&server, kind, &caller);
        }
    }
}
