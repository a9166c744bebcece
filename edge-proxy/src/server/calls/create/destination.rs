//! The destination of a create: the server of the existing record, or one that is chosen for it.

use tokio::time::Instant;
use tracing::warn;
use usher_bbb::{call::ApiCall, query::encode, reply::Refusal};
use usher_model::{
    id::ServerId,
    routing::ServerRoute,
    server::{AdminState, Health},
    voice::VoiceBridge,
};

use super::meeting_creation::MeetingCreation;
use crate::{
    control::placement::{EndNotice, PlacedMeeting, ResolvedMeeting},
    core::route::RoutingDecision,
    server::fleet::{meeting_locator::in_table, meeting_owner::MeetingOwner},
    upstream::UploadBody,
};

/// The destination of a create.
pub(super) enum CreateDestination {
    /// The server of the existing record, and no other.
    Existing(MeetingOwner),
    /// A server that was just chosen, with the number that the meeting got.
    Placed(ServerRoute, Option<VoiceBridge>),
}

impl MeetingCreation {
    /// Returns the destination; servers in `excluded` have failed this create.
    ///
    /// # Errors
    /// Returns the refusal if no control plane answers, no server takes meetings, or the tenant may have no
    /// further meeting.
    pub(super) async fn destination(&self, excluded: &[ServerId]) -> Result<CreateDestination, Refusal> {
        // After a first try, the table may still have the record of that try. And it does not say which
        // records are of breakout rooms.
        let is_first = excluded.is_empty() && self.wishes.refused_bridges.is_empty() && !self.is_room();
        if is_first
            && !self.wishes.supersede
            && let Some(owner) = in_table(&self.request)
            && let Some(owner) = self.existing(owner).await.ok_or(Refusal::SERVER_UNAVAILABLE)?
        {
            return Ok(CreateDestination::Existing(owner));
        }
        let placed = self.place(excluded).await?;
        if placed.is_ours {
            return Ok(CreateDestination::Placed(placed.server, placed.meeting.voice_bridge));
        }
        let PlacedMeeting { meeting, server, .. } = placed;
        let resolved = ResolvedMeeting { meeting, server, token: String::new() };
        let owner = MeetingOwner::resolved(self.request.meetings.scope(), resolved);
        if let Some(owner) = self.existing(owner).await.ok_or(Refusal::SERVER_UNAVAILABLE)? {
            return Ok(CreateDestination::Existing(owner));
        }
        // The existing record was that of an ended meeting, and is removed now.
        let placed = self.place(excluded).await?;
        if placed.is_ours {
            Ok(CreateDestination::Placed(placed.server, placed.meeting.voice_bridge))
        } else {
            Err(Refusal::SERVER_UNAVAILABLE)
        }
    }

    /// Requests a server from a control plane.
    async fn place(&self, excluded: &[ServerId]) -> Result<PlacedMeeting, Refusal> {
        let excluded = &self.with_busy(excluded)?;
        let placing = self.ports.placement.place(&self.key, self.digest, &self.wishes, excluded, &self.token);
        match tokio::time::timeout_at(self.deadline, placing).await {
            Ok(Ok(placed)) => {
                if let Some(table) = &*self.ports.current.load() {
                    table.created(&self.key);
                }
                Ok(placed)
            }
            Ok(Err(error)) => {
                self.ports.placement.warn_not_placed(&error);
                Err(error.refusal())
            }
            Err(_) => {
                if let Some(held_back) = self.ports.warnings.admit("not placed in time", "") {
                    warn!(held_back, "a meeting was not placed in time");
                }
                Err(Refusal::SERVER_UNAVAILABLE)
            }
        }
    }

    /// Returns the servers that are no destination: those in `excluded`, and those at which the tenant has no place
    /// for a further create. A record there would be written, and take a place of the server's, only to be removed.
    ///
    /// # Errors
    /// Returns the retryable refusal if no server is left.
    fn with_busy(&self, excluded: &[ServerId]) -> Result<Vec<ServerId>, Refusal> {
        let mut excluded = excluded.to_vec();
        let upstream = self.ports.servers.upstream();
        let busy = upstream.busy_for(ApiCall::Create, &self.key.tenant);
        // A breakout room goes to the server of its parent and nowhere else.
        if busy.is_empty() || self.is_room() {
            return Ok(excluded);
        }
        let servers = self.request.table.servers();
        let takes = |server: &ServerRoute| {
            server.admin == AdminState::Enabled
                && server.health == Health::Online
                && !excluded.contains(&server.id)
        };
        let mut left = servers.iter().filter(|server| takes(server)).peekable();
        if left.peek().is_some() && left.all(|server| busy.contains(&server.id)) {
            upstream.count_busy();
            return Err(Refusal::SERVER_UNAVAILABLE);
        }
        excluded.extend(busy);
        Ok(excluded)
    }

    /// Returns the owner if the create is to go to it, `Some(None)` if the meeting is to be placed again, and
    /// `None` if that cannot be found out now.
    async fn existing(&self, owner: MeetingOwner) -> Option<Option<MeetingOwner>> {
        match owner.decision(ApiCall::Create) {
            RoutingDecision::Forward => Some(Some(owner)),
            RoutingDecision::ForwardIfRunning => match self.still_runs(&owner).await {
                Some(true) => Some(Some(owner)),
                Some(false) => {
                    let placement = &self.ports.placement;
                    let ended =
                        placement.report_end(EndNotice { token: "", ..owner.end_notice(owner.instance()) });
                    ended.await.ok().map(|_| None)
                }
                None => None,
            },
            RoutingDecision::Place | RoutingDecision::Missing | RoutingDecision::EndLater => Some(None),
        }
    }

    /// Returns whether a cordoned server still runs the meeting; `None` if its answer is
    /// neither yes nor no.
    async fn still_runs(&self, owner: &MeetingOwner) -> Option<bool> {
        let query = format!("meetingID={}", encode(owner.address()));
        let call = ApiCall::GetMeetingInfo;
        let deadline = self.deadline.min(Instant::now() + self.ports.timeouts.call);
        let (servers, caller) = (&self.ports.servers, self.request.caller());
        let answer =
            servers.send(&owner.server, call, &query, UploadBody::None, &caller, deadline).await.ok()?;
        match (answer.outcome.success, answer.outcome.key.as_str()) {
            (true, _) => Some(true),
            (false, "notFound") => Some(false),
            _ => None,
        }
    }
}
