//! Calls to one server: reads that requests share, and calls that are made once.

use std::sync::Arc;

use tokio::time::Instant;
use usher_bbb::call::{ApiCall, EveryServerList};
use usher_model::{id::TenantId, routing::ServerRoute};

use crate::{
    core::{
        evidence::{CallOrigin, FailureKind},
        resign::{in_url, outgoing},
    },
    upstream::{
        FairCompute, ListPart, ServerAnswer, ServerCallError, ServerClient, SharedAnswer, SharedLists,
        SharedReads, UploadBody, is_our_fault,
    },
};

/// Makes calls to servers.
#[derive(Debug, Clone)]
pub(in crate::server) struct ServerCalls {
    upstream: ServerClient,
    reads: SharedReads,
    lists: SharedLists,
    compute: FairCompute,
}

impl ServerCalls {
    /// Calls servers by `upstream`, shares the reads and the lists, and does long work in `compute`.
    pub(in crate::server) fn new(
        upstream: ServerClient,
        (reads, lists): (SharedReads, SharedLists),
        compute: FairCompute,
    ) -> Self {
        Self { upstream, reads, lists, compute }
    }

    /// Returns the threads for long work on the answers of servers.
    pub(in crate::server) fn compute(&self) -> &FairCompute {
        &self.compute
    }

    /// Returns the client of the servers.
    pub(in crate::server) fn upstream(&self) -> &ServerClient {
        &self.upstream
    }

    /// Returns the list of one server, which requests of all tenants share: the query is the same for all of
    /// them. Returns `None` if the server gives no list.
    pub(in crate::server) async fn list(
        &self,
        server: &Arc<ServerRoute>,
        (list, call): (EveryServerList, ApiCall),
        caller: &CallOrigin,
        deadline: Instant,
    ) -> Option<Arc<ListPart>> {
        let fetch = || {
            let (upstream, compute) = (self.upstream.clone(), self.compute.clone());
            let (server, caller) = (Arc::clone(server), caller.clone());
            async move {
                let outgoing = outgoing(&server, call, "");
                let answer = upstream.call(&server, call, outgoing, UploadBody::None, &caller, deadline);
                let ServerAnswer { text, bytes, .. } = answer.await.ok()?;
                compute.run(None, text.len(), move || ListPart::read(list, text, bytes)).await.ok().flatten()
            }
        };
        self.lists.part(server, list, &caller.tenant, fetch).await
    }

    /// Makes a call that only reads. Requests that read the same at the same time share one call.
    ///
    /// # Errors
    /// Returns the error of the call, which may be another request's.
    pub(in crate::server) async fn read(
        &self,
        server: &Arc<ServerRoute>,
        call: ApiCall,
        parameters: &str,
        caller: &CallOrigin,
        deadline: Instant,
    ) -> Result<SharedAnswer, ServerCallError> {
        let (upstream, asked, caller) = (self.upstream.clone(), parameters.to_owned(), caller.clone());
        let to = Arc::clone(server);
        let fetch = move || async move {
            let outgoing = outgoing(&to, call, &asked);
            upstream.call(&to, call, outgoing, UploadBody::None, &caller, deadline).await.map(Arc::new)
        };
        self.reads.read(&server.id, call, parameters, fetch).await
    }

    /// Makes a call for one request alone.
    ///
    /// # Errors
    /// Returns the error of the call. An answer that refuses the edge's own signature is an error too:
    /// the caller's was valid.
    pub(in crate::server) async fn call(
        &self,
        server: &ServerRoute,
        call: ApiCall,
        parameters: &str,
        upload: UploadBody,
        caller: &CallOrigin,
        deadline: Instant,
    ) -> Result<ServerAnswer, ServerCallError> {
        let answer = self.send(server, call, parameters, upload, caller, deadline).await;
        if !call.is_read() {
            self.changed(server, &caller.tenant);
        }
        match answer {
            Ok(answer) if is_our_fault(&answer) => {
                self.report(server, FailureKind::BadAnswer, call, caller);
                Err(ServerCallError::Unknown(FailureKind::BadAnswer))
            }
            other => other,
        }
    }

    /// Sends a call whose answer the caller judges itself.
    ///
    /// # Errors
    /// Returns the error of the call.
    pub(in crate::server) async fn send(
        &self,
        server: &ServerRoute,
        call: ApiCall,
        parameters: &str,
        upload: UploadBody,
        caller: &CallOrigin,
        deadline: Instant,
    ) -> Result<ServerAnswer, ServerCallError> {
        let outgoing = match upload {
            UploadBody::None => outgoing(server, call, parameters),
            // The upload takes the body, where long parameters would go.
            UploadBody::HeldXml(_) | UploadBody::Xml(_) | UploadBody::Multipart(..) => {
                in_url(server, call, parameters)
            }
        };
        self.upstream.call(server, call, outgoing, upload, caller, deadline).await
    }

    /// Notes that a call of `tenant` has changed something at a server: reads that began before are not
    /// shared any more, and the tenant's next list is read anew.
    pub(in crate::server) fn changed(&self, server: &ServerRoute, tenant: &TenantId) {
        self.reads.changed(&server.id);
        self.lists.changed(&server.id, tenant);
    }

    /// Reports a failure that only the edge can see, such as a wrong secret.
    pub(in crate::server) fn report(
        &self,
        server: &ServerRoute,
        kind: FailureKind,
        call: ApiCall,
        caller: &CallOrigin,
    ) {
        self.upstream.report(&server.id, kind, call, caller);
    }
}
