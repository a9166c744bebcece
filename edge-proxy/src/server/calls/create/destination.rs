//! Where a create goes: to the server of the record that stands, or to one that is chosen for it.

use tokio::time::Instant;
use tracing::warn;
use usher_bbb::{call::ApiCall, query::encode, reply::Refusal};
use usher_model::{id::ServerId, routing::ServerRoute, voice::VoiceBridge};

use super::Creation;
use crate::{
    control::placement::{PlacedMeeting, ResolvedMeeting},
    core::{resign::outgoing, route::RoutingDecision},
    server::fleet::locate::{Owner, in_table},
    upstream::UploadBody,
};

/// Where a create goes.
pub(super) enum Destination {
    /// To the server of the record that stands, and nowhere else.
    Standing(Owner),
    /// To a server that was just chosen, with the number the room got.
    Placed(ServerRoute, Option<VoiceBridge>),
}

impl Creation {
    /// Finds out where to.
    ///
    /// # Errors
    /// Nobody can say, no server takes meetings, or the tenant may have no more.
    pub(super) async fn destination(&self, excluded: &[ServerId]) -> Result<Destination, Refusal> {
        // After a try of its own, the table may still show the record of that try. Whether one is of a
        // breakout room it does not say.
        let is_first = excluded.is_empty() && self.wishes.refused_bridges.is_empty() && !self.is_room();
        if is_first
            && !self.wishes.supersede
            && let Some(owner) = in_table(&self.ask)
            && let Some(owner) = self.standing(owner).await.ok_or(Refusal::SERVER_UNAVAILABLE)?
        {
            return Ok(Destination::Standing(owner));
        }
        let placed = self.place(excluded).await?;
        if placed.is_ours {
            return Ok(Destination::Placed(placed.server, placed.meeting.voice_bridge));
        }
        let PlacedMeeting { meeting, server, .. } = placed;
        let resolved = ResolvedMeeting { meeting, server, token: String::new() };
        let owner = Owner::resolved(self.ask.meetings.scope(), resolved);
        if let Some(owner) = self.standing(owner).await.ok_or(Refusal::SERVER_UNAVAILABLE)? {
            return Ok(Destination::Standing(owner));
        }
        // The record that stood was of an ended meeting, and is gone now.
        let placed = self.place(excluded).await?;
        if placed.is_ours {
            Ok(Destination::Placed(placed.server, placed.meeting.voice_bridge))
        } else {
            Err(Refusal::SERVER_UNAVAILABLE)
        }
    }

    async fn place(&self, excluded: &[ServerId]) -> Result<PlacedMeeting, Refusal> {
        let placing =
            self.gateway.placement.place(&self.key, self.digest, &self.wishes, excluded, &self.token);
        match tokio::time::timeout_at(self.deadline, placing).await {
            Ok(Ok(placed)) => Ok(placed),
            Ok(Err(error)) => {
                warn!(%error, "a meeting was not placed");
                Err(error.refusal())
            }
            Err(_) => {
                warn!("a meeting was not placed in time");
                Err(Refusal::SERVER_UNAVAILABLE)
            }
        }
    }

    /// Returns the owner if the create is to go to it, `Some(None)` if it is to be placed anew, and
    /// `None` where nobody can say.
    async fn standing(&self, owner: Owner) -> Option<Option<Owner>> {
        match owner.decision(ApiCall::Create) {
            RoutingDecision::Forward => Some(Some(owner)),
            RoutingDecision::ForwardIfRunning => match self.still_runs(&owner).await {
                Some(true) => Some(Some(owner)),
                Some(false) => {
                    let placement = &self.gateway.placement;
                    let ended = placement.report_end(&owner.key, &owner.server.id, owner.instance(), "");
                    ended.await.ok().map(|_| None)
                }
                None => None,
            },
            RoutingDecision::Place | RoutingDecision::Missing | RoutingDecision::EndLater => Some(None),
        }
    }

    /// Asks a cordoned server whether it still runs the meeting.
    async fn still_runs(&self, owner: &Owner) -> Option<bool> {
        let query = format!("meetingID={}", encode(owner.address()));
        let call = ApiCall::GetMeetingInfo;
        let deadline = self.deadline.min(Instant::now() + self.gateway.limits.call);
        let url = outgoing(&owner.server, call, &query, &[]);
        let answer = self
            .gateway
            .upstream
            .call(&owner.server, call, url, UploadBody::None, &self.ask.caller(), deadline)
            .await
            .ok()?;
        match (answer.outcome.success, answer.outcome.key.as_str()) {
            (true, _) => Some(true),
            (false, "notFound") => Some(false),
            _ => None,
        }
    }
}
