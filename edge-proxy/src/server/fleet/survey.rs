//! One query to many servers at once. The answer is made of the parts that have come by the deadline
//! (S8): a server that is slow or offline makes it smaller, and marked as partial, but neither late nor a
//! failure.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::join_all;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tracing::warn;
use usher_bbb::call::ApiCall;
use usher_model::{
    id::{ServerId, TenantId},
    routing::ServerRoute,
};

use crate::server::{
    callback_sealer::{CallbackSealer, with_own_addresses},
    reply::CallReply,
};

/// Time that is kept for merging the parts and sending the answer.
const MARGIN: Duration = Duration::from_millis(100);

/// Queries many servers, and makes one answer of their parts.
#[derive(Debug, Clone)]
pub(in crate::server) struct FleetSurvey {
    /// Longest time that the client waits.
    pub(in crate::server) timeout: Duration,
    /// Counts the servers whose parts were missing.
    pub(in crate::server) partial_lists: Counter,
    pub(in crate::server) addresses: Option<Arc<CallbackSealer>>,
}

/// The parts of the servers.
#[derive(Debug)]
pub(in crate::server) struct SurveyParts<T> {
    /// The servers that have answered, each with its part.
    pub(in crate::server) parts: Vec<(ServerId, T)>,
    /// Number of servers whose part is missing.
    pub(in crate::server) missing: usize,
}

impl FleetSurvey {
    /// Returns the time at which the parts of all servers have to be there.
    pub(in crate::server) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout.saturating_sub(MARGIN)
    }

    /// Makes the answer to a list. If no server has answered at all, the caller is to try again: an empty
    /// list would be wrong (I13).
    pub(in crate::server) fn reply<T>(
        &self,
        survey: &SurveyParts<T>,
        (tenant, call): (&TenantId, ApiCall),
        merge: impl FnOnce(&[(ServerId, T)]) -> String,
    ) -> CallReply {
        let (answered, missing) = (survey.parts.len(), survey.missing);
        if missing > 0 {
            self.partial_lists.inc_by(missing as u64);
            warn!(call = call.name(), answered, missing, "a list is partial");
        }
        if missing > 0 && answered == 0 {
            return CallReply::unavailable();
        }
        let xml = with_own_addresses(self.addresses.as_deref(), tenant, merge(&survey.parts));
        CallReply::success(xml).without(missing)
    }
}

/// Queries each of `servers` with `query`, all at once, until `deadline`.
pub(in crate::server) async fn survey<T, F>(
    servers: impl IntoIterator<Item = Arc<ServerRoute>>,
    deadline: Instant,
    query: impl Fn(Arc<ServerRoute>) -> F,
) -> SurveyParts<T>
where
    F: Future<Output = Option<T>>,
{
    let queries = servers.into_iter().map(|server| {
        let id = server.id.clone();
        let part = tokio::time::timeout_at(deadline, query(server));
        async { (id, part.await.ok().flatten()) }
    });
    let all = join_all(queries).await;
    let queried = all.len();
    let parts: Vec<_> = all.into_iter().filter_map(|(id, part)| Some((id, part?))).collect();
    let missing = queried - parts.len();
    SurveyParts { parts, missing }
}
