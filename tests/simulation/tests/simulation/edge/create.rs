//! The call `create`, by the rules of `edge-proxy/src/server/calls/create/`.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep, timeout_at};
use usher_bbb::call::ApiCall;
use usher_edge_proxy::core::{evidence::CallOrigin, route::RoutingDecision};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    routing::RouteState,
};
use usher_proto::v1::{AbandonCertainty, FailureKind};

use super::{
    EdgeOwner, SimEdge,
    control_planes::{PlacedCreate, PlaneCallError},
};
use crate::servers::{CreatedInstance, SimCallError};

const CONFIRM_TRIES: u32 = 5;
const CONFIRM_PAUSE: Duration = Duration::from_millis(200);

enum CreateTry {
    Answered(Option<InternalMeetingId>),
    Nothing(ServerId),
}

/// Returns the caller of a create, for reports of failed calls.
pub(super) fn caller(key: &MeetingKey) -> CallOrigin {
    let (tenant, meeting) = (key.tenant.clone(), Some(key.meeting.clone()));
    CallOrigin { tenant, meeting, brings_documents: false }
}

fn kind_of(failed: SimCallError) -> FailureKind {
    match failed {
        SimCallError::NotSent => FailureKind::Connect,
        SimCallError::Silent => FailureKind::Timeout,
        SimCallError::Broken | SimCallError::BadAnswer => FailureKind::BadAnswer,
    }
}

impl SimEdge {
    /// Serves a create; returns the instance in the client's answer, or `None` for an error.
    pub(crate) async fn create(
        self: &Arc<Self>,
        key: &MeetingKey,
        supersede: bool,
    ) -> Option<InternalMeetingId> {
        let deadline = Instant::now() + self.limits.0;
        let mut excluded = Vec::new();
        while Instant::now() < deadline {
            let placed = self.destination(key, supersede, &excluded, deadline).await?;
            let Some(token) = placed.token else { return self.forward(key, &placed.owner, deadline).await };
            match self.attempt(key, &placed.owner, &token, deadline).await {
                CreateTry::Answered(answer) => return answer,
                CreateTry::Nothing(server) => excluded.push(server),
            }
        }
        None
    }

    /// Returns the server for a create; without a token, the server of the existing record.
    async fn destination(
        self: &Arc<Self>,
        key: &MeetingKey,
        supersede: bool,
        excluded: &[ServerId],
        deadline: Instant,
    ) -> Option<PlacedCreate> {
        if excluded.is_empty()
            && !supersede
            && let Some(owner) = self.in_table(key)
            && let Some(owner) = self.standing(key, owner, deadline).await?
        {
            return Some(PlacedCreate { owner, token: None });
        }
        let place = async || timeout_at(deadline, self.place(key, supersede, excluded)).await.ok()?.ok();
        let placed = place().await?;
        if placed.token.is_some() {
            return Some(placed);
        }
        if let Some(owner) = self.standing(key, placed.owner, deadline).await? {
            return Some(PlacedCreate { owner, token: None });
        }
        place().await.filter(|placed| placed.token.is_some())
    }

    async fn standing(
        self: &Arc<Self>,
        key: &MeetingKey,
        owner: EdgeOwner,
        deadline: Instant,
    ) -> Option<Option<EdgeOwner>> {
        match owner.decision(ApiCall::Create) {
            RoutingDecision::Forward => Some(Some(owner)),
            RoutingDecision::ForwardIfRunning => {
                let patience = self.limits.1.min(deadline.saturating_duration_since(Instant::now()));
                match self.servers.running(&self.life, &owner.server.id, key, patience).await {
                    Ok(Some(_)) => Some(Some(owner)),
                    Ok(None) => {
                        let instance = owner.instance();
                        self.report_end(key, &owner, instance.as_ref(), false).await.ok().map(|_| None)
                    }
                    Err(_) => None,
                }
            }
            RoutingDecision::Place | RoutingDecision::Missing | RoutingDecision::EndLater => Some(None),
        }
    }

    async fn call(
        self: &Arc<Self>,
        key: &MeetingKey,
        server: &ServerId,
        deadline: Instant,
    ) -> Result<CreatedInstance, SimCallError> {
        let patience = deadline.saturating_duration_since(Instant::now());
        let created = self.servers.create(&self.life, server, key, patience).await;
        match &created {
            Ok(_) => self.ledger().succeeded(server, ApiCall::Create, Instant::now().into_std()),
            Err(failed) => self.report_failure(server, kind_of(*failed), &caller(key)),
        }
        created
    }

    /// Forwards a create of an id that already has a server: its answer is the answer.
    async fn forward(
        self: &Arc<Self>,
        key: &MeetingKey,
        owner: &EdgeOwner,
        deadline: Instant,
    ) -> Option<InternalMeetingId> {
        let created = self.call(key, &owner.server.id, deadline).await.ok()?;
        let same = matches!(&owner.state, RouteState::Active(id) if *id == created.internal_id);
        let routed = same || self.confirm(key, &owner.server.id, "", &created).await == Ok(true);
        routed.then(|| self.acknowledge(key, &created))
    }

    /// Calls the server on which the id was placed for this create.
    async fn attempt(
        self: &Arc<Self>,
        key: &MeetingKey,
        owner: &EdgeOwner,
        token: &str,
        deadline: Instant,
    ) -> CreateTry {
        let server = &owner.server.id;
        match self.call(key, server, deadline).await {
            Ok(created) => {
                let (edge, key_, server, token) =
                    (self.clone(), key.clone(), server.clone(), token.to_owned());
                let confirmed = created.clone();
                tokio::spawn(async move { edge.confirm_placed(&key_, &server, &token, &confirmed).await });
                CreateTry::Answered(Some(self.acknowledge(key, &created)))
            }
            Err(SimCallError::NotSent) => {
                self.abandon(key, server, token, AbandonCertainty::Definite).await;
                CreateTry::Nothing(server.clone())
            }
            Err(_) => {
                self.abandon(key, server, token, AbandonCertainty::Unknown).await;
                CreateTry::Answered(None)
            }
        }
    }

    fn acknowledge(&self, key: &MeetingKey, created: &CreatedInstance) -> InternalMeetingId {
        self.witness.acknowledged(key, &created.internal_id);
        created.internal_id.clone()
    }

    async fn confirm_placed(
        self: &Arc<Self>,
        key: &MeetingKey,
        server: &ServerId,
        token: &str,
        created: &CreatedInstance,
    ) {
        for attempt in 0..CONFIRM_TRIES {
            if self.life.crashed.is_cancelled() {
                return;
            }
            match self.confirm(key, server, token, created).await {
                Err(PlaneCallError::Unreachable) => sleep(CONFIRM_PAUSE * 2_u32.pow(attempt)).await,
                Ok(_) | Err(PlaneCallError::Refused) => return,
            }
        }
    }
}
