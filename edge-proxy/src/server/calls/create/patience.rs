//! How long a create is waited for.
//!
//! A server makes the meeting first and fetches its documents then, all within one call, which may take
//! minutes (wire-contract 4.9). `create_timeout` bounds how long nobody knows whether there is a meeting; once
//! polls list it, its server may take until `upload_timeout` to say so itself.

use tokio::time::Instant;
use usher_bbb::call::ApiCall;
use usher_model::routing::{RouteState, ServerRoute};

use super::Creation;
use crate::{
    core::{
        evidence::{CallOrigin, FailureKind},
        resign::OutgoingCall,
    },
    server::fleet::locate::in_table,
    upstream::{ServerAnswer, ServerCallError, UploadBody},
};

impl Creation {
    /// Waits for the server's answer.
    pub(super) async fn patiently(
        &self,
        server: &ServerRoute,
        outgoing: OutgoingCall,
        upload: UploadBody,
    ) -> Result<ServerAnswer, ServerCallError> {
        let caller = self.caller();
        let last = if self.brings_documents { self.last_deadline() } else { self.deadline };
        let mut answering = std::pin::pin!(self.gateway.upstream.call(
            server,
            ApiCall::Create,
            outgoing,
            upload,
            &caller,
            last
        ));
        if last <= self.deadline {
            return answering.await;
        }
        match tokio::time::timeout_at(self.deadline, &mut answering).await {
            Ok(answer) => return answer,
            Err(_) if self.is_listed(server) => {}
            Err(_) => {
                self.gateway.upstream.report(&server.id, FailureKind::Timeout, ApiCall::Create, &caller);
                return Err(ServerCallError::Unknown(FailureKind::Timeout));
            }
        }
        let answer = answering.await;
        // The id may have been given away meanwhile: then this is nobody's meeting any more.
        if self.is_listed(server) { answer } else { Err(ServerCallError::Unknown(FailureKind::Timeout)) }
    }

    /// Returns whose create it is. A presentation of the tenant's own policy is fetched too.
    pub(super) fn caller(&self) -> CallOrigin {
        CallOrigin { brings_documents: self.brings_documents, ..self.ask.caller() }
    }

    /// Tells whether the meeting is known to run on `server` although nobody has confirmed this create:
    /// a poll has found it.
    pub(super) fn is_listed(&self, server: &ServerRoute) -> bool {
        in_table(&self.ask)
            .is_some_and(|owner| owner.server.id == server.id && matches!(owner.state, RouteState::Active(_)))
    }

    fn last_deadline(&self) -> Instant {
        let limits = &self.gateway.limits;
        self.deadline + limits.upload.saturating_sub(limits.create)
    }
}
