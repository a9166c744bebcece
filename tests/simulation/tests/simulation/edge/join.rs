//! The call `join`, by the rules of `edge-proxy/src/server/calls/join.rs`.

use std::sync::Arc;

use usher_bbb::call::ApiCall;
use usher_model::{id::ServerId, meeting::MeetingKey};

use super::{LocateResult, SimEdge};

/// The answer to a browser.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum JoinAnswer {
    /// A redirect to this server.
    At(ServerId),
    /// The meeting does not exist.
    Missing,
    /// The browser may try again.
    Retry,
}

impl SimEdge {
    /// Serves a join and has the witness judge the answer.
    pub(crate) async fn join(self: &Arc<Self>, key: &MeetingKey) -> JoinAnswer {
        let expected = self.witness.checker().expected(key);
        let held = self.current.revision();
        let joined = match self.locate(ApiCall::Join, key).await {
            LocateResult::At(owner) => JoinAnswer::At(owner.server.id),
            LocateResult::Missing | LocateResult::EndLater(_) => JoinAnswer::Missing,
            LocateResult::Unreachable => JoinAnswer::Retry,
        };
        self.witness.note(&format!("{key}: e{} answers a join with {joined:?}", self.index));
        self.witness.checker().joined(key, expected.as_ref(), &joined, held.map(|held| held.seq));
        joined
    }
}
