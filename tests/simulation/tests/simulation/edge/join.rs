//! `join`, as `edge-proxy/src/server/calls/join.rs` does it.

use std::sync::Arc;

use usher_bbb::call::ApiCall;
use usher_model::{id::ServerId, meeting::MeetingKey};

use super::{Located, SimEdge};

/// What a browser is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Joined {
    /// To go to this server.
    At(ServerId),
    /// There is no such meeting.
    Missing,
    /// To try again.
    Retry,
}

impl SimEdge {
    /// Serves a join.
    pub(crate) async fn join(self: &Arc<Self>, key: &MeetingKey) -> Joined {
        let expected = self.witness.checker().expected(key);
        let held = self.cell.revision();
        let joined = match self.locate(ApiCall::Join, key).await {
            Located::At(owner) => Joined::At(owner.server.id),
            Located::Missing | Located::EndLater(_) => Joined::Missing,
            Located::Unreachable => Joined::Retry,
        };
        self.witness.note(&format!("{key}: e{} answers a join with {joined:?}", self.index));
        self.witness.checker().joined(key, expected.as_ref(), &joined, held.map(|held| held.seq));
        joined
    }
}
