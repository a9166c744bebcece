//! The permitted answers to a join (I13): never that a meeting does not exist while it runs, is
//! routed and its server works; and no other server from a table that contains the newer record.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingKey, RecordState},
    server::{AdminState, Health},
};

use super::checker::{InvariantChecker, ViolationKind};
use crate::{edge::JoinAnswer, servers::home};

/// A meeting that every client must find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ExpectedMeeting {
    internal: InternalMeetingId,
    server: ServerId,
    /// The revision of its record.
    since: u64,
}

impl InvariantChecker {
    /// Returns the meeting that clients must find under an id, if there is one.
    pub(crate) fn expected(&self, key: &MeetingKey) -> Option<ExpectedMeeting> {
        let stored = self.truth.records.get(key)?;
        let RecordState::Active { internal_id, .. } = &stored.value.state else { return None };
        let instance = self.instances.get(internal_id)?;
        let (server, since) = (stored.value.server.clone(), stored.modified);
        let serves = self.truth.admin(&server) == Some(AdminState::Enabled)
            && self.truth.health(&server) == Health::Online;
        let sure = serves && instance.acknowledged && !instance.released;
        sure.then(|| ExpectedMeeting { internal: internal_id.clone(), server, since })
    }

    /// Judges an answer to a client; `expected` and `held`, the revision of the edge's table, were
    /// read before the request.
    pub(crate) fn joined(
        &mut self,
        key: &MeetingKey,
        expected: Option<&ExpectedMeeting>,
        joined: &JoinAnswer,
        held: Option<u64>,
    ) {
        let after = self.expected(key);
        let Some(expected) = expected.filter(|expected| after.as_ref() == Some(expected)) else { return };
        let ExpectedMeeting { internal, server, since } = expected;
        match joined {
            JoinAnswer::Missing => {
                let text =
                    format!("I13: a client got that it does not exist, and {internal} runs on {server}");
                self.fail(ViolationKind::Lie, Some(key), text);
            }
            JoinAnswer::At(other)
                if home(other) != home(server)
                    && !self.began_anew
                    && held.is_some_and(|held| held >= *since) =>
            {
                let text =
                    format!("a client was sent to {other}, and {internal} runs on {server} since {since}");
                self.fail(ViolationKind::Lie, Some(key), text);
            }
            JoinAnswer::At(_) | JoinAnswer::Retry => {}
        }
    }
}
