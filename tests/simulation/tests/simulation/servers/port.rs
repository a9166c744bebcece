//! The way of one replica to the servers, an implementation of the product's own port.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::time::{Instant, sleep};
use usher_bbb::{parse::ListedHook, secret::Secret};
use usher_control_plane::{
    notifications::ports::ServerHooks,
    ports::{BbbCallError, BbbServers, EndCallOutcome},
};
use usher_model::{
    id::InternalMeetingId,
    server::{Server, ServerSample},
};

use super::{SimCallError, SimServers, index_of};
use crate::{
    broken_guarantee::BrokenGuarantee,
    network::NodeLife,
    store::SimStore,
    witness::{EndCause, HistoryWitness},
};

/// The pause before the second attempt of a poll.
const AGAIN: Duration = Duration::from_millis(200);
/// How long an ended meeting may still be listed: least and most.
const LINGERS: (Duration, Duration) = (Duration::ZERO, Duration::from_secs(3));

pub(crate) struct ServersLink {
    pub(crate) servers: Arc<SimServers>,
    pub(crate) store: Arc<SimStore>,
    pub(crate) witness: Arc<HistoryWitness>,
    pub(crate) replica: NodeLife,
    /// The name of the replica in the election.
    pub(crate) candidate: String,
    /// The timeout of a poll, `health.deadline`.
    pub(crate) poll_patience: Duration,
    /// The timeout of a call, `meetings.call_timeout`.
    pub(crate) call_patience: Duration,
    pub(crate) sabotage: Option<BrokenGuarantee>,
}

fn failure(failed: SimCallError, patience: Duration) -> BbbCallError {
    match failed {
        SimCallError::NotSent => BbbCallError::Connect("refused".into()),
        SimCallError::Silent => BbbCallError::Timeout(patience),
        SimCallError::Broken => BbbCallError::Broken("reset".into()),
        SimCallError::BadAnswer => BbbCallError::Status(502),
    }
}

impl ServersLink {
    async fn list(&self, index: usize, patience: Duration) -> Result<ServerSample, BbbCallError> {
        let act =
            move |servers: &Arc<SimServers>| servers.bbb(index).list(Instant::now(), servers.wall.now_ms());
        let listed = self.servers.ask(&self.replica, index, patience, act).await;
        listed.map_err(|failed| failure(failed, patience))
    }
}

#[async_trait]
impl BbbServers for ServersLink {
    /// Makes two attempts within one deadline, as the real client does.
    async fn poll(&self, server: &Server, watermark: u64) -> Result<ServerSample, BbbCallError> {
        let (index, deadline) = (index_of(&server.id), Instant::now() + self.poll_patience);
        let mut listed = self.list(index, self.poll_patience).await;
        if matches!(listed, Err(BbbCallError::Connect(_) | BbbCallError::Broken(_) | BbbCallError::Status(_)))
            && Instant::now() + AGAIN < deadline
        {
            sleep(AGAIN).await;
            listed = self.list(index, deadline.saturating_duration_since(Instant::now())).await;
        }
        let watermark = match self.sabotage {
            Some(BrokenGuarantee::WatermarkOfTheAnswer) => {
                sleep(AGAIN * 2).await; // time for a change in between
                self.store.revision()
            }
            _ => watermark,
        };
        listed.map(|sample| ServerSample { watermark, ..sample })
    }

    async fn end(
        &self,
        server: &Server,
        meeting: &InternalMeetingId,
        _moderator_password: Option<&Secret>,
    ) -> Result<EndCallOutcome, BbbCallError> {
        self.witness.end_sent(&self.candidate, self.store.leader(), meeting);
        let (index, patience) = (index_of(&server.id), self.call_patience);
        let (internal, by) = (meeting.clone(), self.candidate.clone());
        let act = move |servers: &Arc<SimServers>| {
            if servers.chance.happens(servers.habits.failing_ends) {
                return None;
            }
            if !servers.bbb(index).runs(&internal) {
                return Some(EndCallOutcome::NotFound);
            }
            let lingers = servers.chance.between(LINGERS.0, LINGERS.1);
            let (servers, cause) = (servers.clone(), EndCause::Balancer(by));
            tokio::spawn(async move {
                sleep(lingers).await;
                if servers.bbb(index).remove(&internal) {
                    servers.witness.instance_ended(&internal, &cause);
                }
            });
            Some(EndCallOutcome::Requested)
        };
        match self.servers.ask(&self.replica, index, patience, act).await {
            Ok(Some(ended)) => Ok(ended),
            Ok(None) => Err(BbbCallError::Failed("internalError".into())),
            Err(failed) => Err(failure(failed, patience)),
        }
    }

    async fn exists(&self, server: &Server, meeting: &str) -> Result<bool, BbbCallError> {
        if self.sabotage == Some(BrokenGuarantee::WatermarkOfTheAnswer) {
            return Ok(false); // a second query would repair the broken guarantee
        }
        let (index, patience) = (index_of(&server.id), self.call_patience);
        let internal = InternalMeetingId::parse(meeting).expect("the query has an internal id");
        let act = move |servers: &Arc<SimServers>| servers.bbb(index).runs(&internal);
        let asked = self.servers.ask(&self.replica, index, patience, act).await;
        asked.map_err(|failed| failure(failed, patience))
    }
}

/// Servers without bbb-webhooks.
pub(crate) struct NoServerHooks;

#[async_trait]
impl ServerHooks for NoServerHooks {
    async fn hooks(&self, _: &Server) -> Result<Vec<ListedHook>, BbbCallError> {
        Err(BbbCallError::Status(404))
    }

    async fn create_hook(&self, _: &Server, _: &str, _: bool) -> Result<(), BbbCallError> {
        Err(BbbCallError::Status(404))
    }

    async fn destroy_hook(&self, _: &Server, _: &str) -> Result<(), BbbCallError> {
        Err(BbbCallError::Status(404))
    }
}
