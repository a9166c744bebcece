//! The call `end`, by the rules of `edge-proxy/src/server/calls/meeting_calls.rs`.

use std::{sync::Arc, time::Duration};

use usher_bbb::call::ApiCall;
use usher_model::{id::InternalMeetingId, meeting::MeetingKey};

use super::{EdgeOwner, LocateResult, SimEdge};

/// Longest time that an `end` waits until this edge's own table has no record of the meeting.
const FORGET_PATIENCE: Duration = Duration::from_secs(2);

impl SimEdge {
    /// Serves an `end`; returns whether the client's answer is SUCCESS.
    pub(crate) async fn end(self: &Arc<Self>, key: &MeetingKey) -> bool {
        match self.locate(ApiCall::End, key).await {
            LocateResult::Unreachable | LocateResult::Missing => false,
            LocateResult::EndLater(owner) => {
                match self.report_end(key, &owner, owner.instance().as_ref(), true).await {
                    Ok(Some(revision)) => {
                        self.current.reach(revision, FORGET_PATIENCE).await;
                        true
                    }
                    Ok(None) => true,
                    Err(_) => false,
                }
            }
            LocateResult::At(owner) => {
                let instance = match owner.instance() {
                    Some(instance) => Some(instance),
                    None => match self.confirm_first(key, &owner).await {
                        Ok(instance) => instance,
                        Err(NotConfirmed) => return false,
                    },
                };
                let ended = self.servers.end(&self.life, &owner.server.id, key, self.limits.1).await;
                if ended == Ok(true)
                    && let Ok(Some(revision)) = self.report_end(key, &owner, instance.as_ref(), false).await
                {
                    self.current.reach(revision, FORGET_PATIENCE).await;
                }
                ended == Ok(true)
            }
        }
    }

    async fn confirm_first(
        self: &Arc<Self>,
        key: &MeetingKey,
        owner: &EdgeOwner,
    ) -> Result<Option<InternalMeetingId>, NotConfirmed> {
        let server = &owner.server.id;
        let running = self.servers.running(&self.life, server, key, self.limits.1).await;
        let Some(running) = running.ok().flatten() else { return Ok(None) };
        match self.confirm(key, server, &owner.token, &running).await {
            Ok(true) => Ok(Some(running.internal_id)),
            Ok(false) | Err(_) => Err(NotConfirmed),
        }
    }
}

/// The meeting is not confirmed as that of the id: the client may try again.
struct NotConfirmed;
