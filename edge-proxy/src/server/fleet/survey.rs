//! One query to many servers at once. The answer is made of the parts that have come by the deadline
//! (S8): a server that is slow or offline makes a list of meetings smaller, and marked as partial, but neither
//! late nor a failure. A list of recordings is refused instead, unless the tenant wants it partial: some
//! applications delete the recordings that a list does not contain.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::join_all;
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use tracing::{error, warn};
use usher_bbb::call::ApiCall;
use usher_model::{
    id::{ServerId, TenantId},
    routing::ServerRoute,
    server::AdminState,
};
use usher_runtime::repeated_warnings::RequestWarnings;

use crate::{
    server::{
        callback_sealer::{CallbackSealer, with_own_addresses},
        reply::CallReply,
    },
    upstream::{ComputeRefusal, FairCompute},
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
    /// Counts the lists that were refused because of missing parts.
    pub(in crate::server) refused_lists: Counter,
    pub(in crate::server) addresses: Option<Arc<CallbackSealer>>,
    pub(in crate::server) compute: FairCompute,
    pub(in crate::server) warnings: RequestWarnings,
}

/// The parts of the servers.
#[derive(Debug)]
pub(in crate::server) struct SurveyParts<T> {
    /// The servers that have answered, each with its part.
    pub(in crate::server) parts: Vec<(ServerId, T)>,
    /// The servers whose part is missing.
    pub(in crate::server) missing: Vec<Arc<ServerRoute>>,
}

/// The treatment of a list that lacks parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) enum MissingParts {
    /// The list is answered with the parts that are there, and marked as partial.
    Tolerated,
    /// The list is refused as retryable if a server that is not disabled has not answered. A server that an
    /// operator has disabled need not answer: its content is given up until it is enabled again.
    Refused,
}

impl FleetSurvey {
    /// Returns the time at which the parts of all servers have to be there.
    pub(in crate::server) fn deadline(&self) -> Instant {
        Instant::now() + self.timeout.saturating_sub(MARGIN)
    }

    /// Makes the answer to a list by `merge`, whose parts have about `size` bytes together. If no server has
    /// answered at all, the caller is to try again: an empty list would be wrong (I13).
    pub(in crate::server) async fn reply<T: Send + 'static>(
        &self,
        survey: SurveyParts<T>,
        (tenant, call): (&TenantId, ApiCall),
        missing_parts: MissingParts,
        size: usize,
        merge: impl FnOnce(&[(ServerId, T)]) -> String + Send + 'static,
    ) -> CallReply {
        let SurveyParts { parts, missing } = survey;
        let owed = missing.iter().any(|server| server.admin != AdminState::Disabled);
        if !missing.is_empty() {
            self.partial_lists.inc_by(missing.len() as u64);
            if let Some(held_back) = self.warnings.admit("partial list", call.name()) {
                let (answered, missing) = (parts.len(), missing.iter().map(|server| server.id.as_str()));
                let servers: Vec<&str> = missing.collect();
                warn!(call = call.name(), answered, ?servers, held_back, "servers are missing from a list");
            }
        }
        let refused = missing_parts == MissingParts::Refused && owed;
        if refused {
            self.refused_lists.inc();
        }
        if refused || parts.is_empty() && !missing.is_empty() {
            return CallReply::unavailable();
        }
        let (addresses, tenant) = (self.addresses.clone(), tenant.clone());
        let owner = tenant.clone();
        let merged = move || with_own_addresses(addresses.as_deref(), &tenant, merge(&parts));
        match self.compute.run(Some(&owner), size, merged).await {
            Ok(xml) => CallReply::success(xml).without(missing.len()),
            Err(ComputeRefusal::Full) => CallReply::unavailable(),
            Err(failure @ ComputeRefusal::Failed) => {
                if let Some(held_back) = self.warnings.admit("unmerged list", call.name()) {
                    error!(call = call.name(), %failure, held_back, "a list was not merged");
                }
                CallReply::unavailable()
            }
        }
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
        let part = tokio::time::timeout_at(deadline, query(Arc::clone(&server)));
        async { (server, part.await.ok().flatten()) }
    });
    let mut survey = SurveyParts { parts: Vec::new(), missing: Vec::new() };
    for (server, part) in join_all(queries).await {
        match part {
            Some(part) => survey.parts.push((server.id.clone(), part)),
            None => survey.missing.push(server),
        }
    }
    survey
}
