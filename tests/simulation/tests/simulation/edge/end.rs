//! `end`, as `edge-proxy/src/server/owner.rs` does it.

use std::{sync::Arc, time::Duration};

use usher_common::{bbb::call::Call, meeting::MeetingKey};

use super::{Located, SimEdge};

/// Longest time an `end` waits for this edge's own table to forget the meeting.
const FORGET_PATIENCE: Duration = Duration::from_secs(2);

impl SimEdge {
    /// Serves an `end`; tells whether the client is told SUCCESS.
    pub(crate) async fn end(self: &Arc<Self>, key: &MeetingKey) -> bool {
        match self.locate(Call::End, key).await {
            Located::Unreachable | Located::Missing => false,
            Located::EndLater(owner) => match self.report_end(key, &owner, owner.instance().as_ref()).await {
                Ok(Some(revision)) => {
                    self.cell.reach(revision, FORGET_PATIENCE).await;
                    true
                }
                Ok(None) => true,
                Err(_) => false,
            },
            Located::At(owner) => {
                let instance = match owner.instance() {
                    Some(instance) => Some(instance),
                    None => {
                        let running = self.servers.running(&self.life, &owner.server.id, key, self.limits.1);
                        running.await.ok().flatten()
                    }
                };
                let ended = self.servers.end(&self.life, &owner.server.id, key, self.limits.1).await;
                if ended == Ok(true)
                    && let Ok(Some(revision)) = self.report_end(key, &owner, instance.as_ref()).await
                {
                    self.cell.reach(revision, FORGET_PATIENCE).await;
                }
                ended == Ok(true)
            }
        }
    }
}
