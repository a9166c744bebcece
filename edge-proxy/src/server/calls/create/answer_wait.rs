//! The wait for the answer to a create.
//!
//! A server makes the meeting first and then fetches its documents, all within one call, which may take
//! minutes (wire-contract 4.9). `create_timeout` bounds the time for which it is unknown whether the meeting
//! exists. Once polls list it, the server may take until `upload_timeout` to answer.

use tokio::time::Instant;
use usher_bbb::call::ApiCall;
use usher_model::routing::ServerRoute;

use super::meeting_creation::MeetingCreation;
use crate::{
    core::evidence::FailureKind,
    upstream::{ServerAnswer, ServerCallError, UploadBody},
};

impl MeetingCreation {
    /// Sends the create to a server and waits for its answer.
    ///
    /// # Errors
    /// Returns the error of the call; the outcome is unknown if the time has passed.
    pub(super) async fn answered(
        &self,
        server: &ServerRoute,
        parameters: &str,
        upload: UploadBody,
    ) -> Result<ServerAnswer, ServerCallError> {
        let (servers, caller) = (&self.ports.servers, self.caller());
        let last = if self.brings_documents { self.last_deadline() } else { self.deadline };
        let mut answering =
            std::pin::pin!(servers.send(server, ApiCall::Create, parameters, upload, &caller, last));
        if last <= self.deadline {
            return answering.await;
        }
        match tokio::time::timeout_at(self.deadline, &mut answering).await {
            Ok(answer) => return answer,
            Err(_) if self.is_listed(server) => {}
            Err(_) => {
                servers.report(server, FailureKind::Timeout, ApiCall::Create, &caller);
                return Err(ServerCallError::Unknown(FailureKind::Timeout));
            }
        }
        let answer = answering.await;
        // Meanwhile the id may have been given to another create: then this meeting is not the id's.
        if self.is_listed(server) { answer } else { Err(ServerCallError::Unknown(FailureKind::Timeout)) }
    }

    fn last_deadline(&self) -> Instant {
        let timeouts = &self.ports.timeouts;
        self.deadline + timeouts.upload.saturating_sub(timeouts.create)
    }
}
