//! One question to many servers at once. What has come by the deadline is the answer (S8): a server
//! that is slow or gone makes it smaller, and marked, but neither late nor a failure.

use std::{future::Future, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::time::Instant;
use tracing::warn;
use usher_bbb::call::ApiCall;
use usher_model::{
    id::{ServerId, TenantId},
    routing::ServerRoute,
};

use crate::server::{reply::Reply, router::Gateway};
use crate::{
    core::{evidence::CallOrigin, resign::outgoing},
    upstream::{SharedAnswer, UploadBody},
};

/// Time kept for merging and sending the answer.
const MARGIN: Duration = Duration::from_millis(100);

/// What the servers said.
#[derive(Debug)]
pub(in crate::server) struct Survey<T> {
    /// Those who answered.
    pub(in crate::server) answers: Vec<(ServerId, T)>,
    /// How many should have, and did not.
    pub(in crate::server) missing: usize,
}

/// Returns when the answers of all servers have to be there.
pub(in crate::server) fn deadline(gateway: &Gateway) -> Instant {
    Instant::now() + gateway.limits.call.saturating_sub(MARGIN)
}

/// Asks each of `servers` with `ask`, all at once, until `deadline`.
pub(in crate::server) async fn survey<T, F>(
    servers: impl IntoIterator<Item = Arc<ServerRoute>>,
    deadline: Instant,
    ask: impl Fn(Arc<ServerRoute>) -> F,
) -> Survey<T>
where
    F: Future<Output = Option<T>>,
{
    let asking = servers.into_iter().map(|server| {
        let id = server.id.clone();
        let answer = tokio::time::timeout_at(deadline, ask(server));
        async { (id, answer.await.ok().flatten()) }
    });
    let all = join_all(asking).await;
    let asked = all.len();
    let answers: Vec<_> = all.into_iter().filter_map(|(id, answer)| Some((id, answer?))).collect();
    let missing = asked - answers.len();
    Survey { answers, missing }
}

impl<T> Survey<T> {
    /// Makes the answer to a list of what there is: where no server answered at all the caller is to try
    /// again, as an empty list would be a lie.
    pub(in crate::server) fn reply(
        &self,
        gateway: &Gateway,
        (tenant, call): (&TenantId, ApiCall),
        merge: impl FnOnce(&[(ServerId, T)]) -> String,
    ) -> Reply {
        if self.missing > 0 {
            gateway.metrics.partial_lists.inc_by(self.missing as u64);
            warn!(
                call = call.name(),
                answered = self.answers.len(),
                missing = self.missing,
                "a list is partial"
            );
        }
        if self.missing > 0 && self.answers.is_empty() {
            return Reply::unavailable();
        }
        Reply::success(gateway.own_addresses(tenant, merge(&self.answers))).without(self.missing)
    }
}

/// Reads one list of one server; readers who ask for the same at the same time share it.
pub(in crate::server) async fn read(
    gateway: &Gateway,
    server: &Arc<ServerRoute>,
    call: ApiCall,
    parameters: &str,
    caller: &CallOrigin,
    deadline: Instant,
) -> Option<SharedAnswer> {
    let (upstream, asked, caller) = (gateway.upstream.clone(), parameters.to_owned(), caller.clone());
    let to = Arc::clone(server);
    let fetch = move || async move {
        let outgoing = outgoing(&to, call, &asked, &[]);
        upstream.call(&to, call, outgoing, UploadBody::None, &caller, deadline).await.map(Arc::new)
    };
    gateway.reads.read(&server.id, call, parameters, fetch).await.ok()
}
