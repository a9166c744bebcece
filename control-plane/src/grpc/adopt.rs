//! `MeetingService/AdoptMeetings`: one list of one server, and a decision for each named meeting.

use std::{sync::Arc, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use usher_model::{id::ServerId, meeting::MeetingKey, server::AdminState};
use usher_proto::v1::{AdoptMeetingsRequest, AdoptMeetingsResponse, AdoptOutcome, AdoptedMeeting};

use super::{name, status::RpcRefusal};
use crate::{
    core::lifecycle::AdoptionOutcome,
    ports::BbbServers,
    tasks::{
        admin::{FleetAdmin, ListTarget},
        fleet_handle::FleetHandle,
        writer::WriteError,
    },
};

/// Largest number of meetings in one request.
const MOST: usize = 300;
/// Largest number of records that are written at the same time.
const AT_ONCE: usize = 16;

/// The parts that the call uses.
pub(super) struct MeetingAdopter<'a> {
    pub(super) fleet: &'a FleetHandle,
    pub(super) admin: &'a FleetAdmin,
    pub(super) servers: &'a Arc<dyn BbbServers>,
    pub(super) call_timeout: Duration,
}

impl MeetingAdopter<'_> {
    /// Requests the server's list, then decides about each meeting.
    pub(super) async fn adopt(
        &self,
        request: AdoptMeetingsRequest,
        deadline: std::time::Instant,
    ) -> Result<AdoptMeetingsResponse, RpcRefusal> {
        let id = name::parse_server("server", &request.server)?;
        let keys = keys(&request.names)?;
        let (asked, watermark) = self.asked(&id)?;
        let list = self.servers.poll(&asked.server, watermark);
        let sample = match tokio::time::timeout(self.call_timeout, list).await {
            Ok(Ok(sample)) => sample,
            Ok(Err(error)) => return Err(RpcRefusal::retry("SERVER_CALL_FAILED", error.to_string())),
            Err(_) => return Err(RpcRefusal::retry("SERVER_CALL_FAILED", "the server did not answer")),
        };
        let (asked, sample) = (&asked, &sample);
        let adopted = stream::iter(keys).map(|key| async move {
            let adoption = self.admin.adopt(asked, &key, sample, deadline).await;
            adoption.map(|adoption| shown(&key, adoption))
        });
        let meetings = adopted.buffered(AT_ONCE).try_collect().await.map_err(|error| match error {
            WriteError::Decision(stale) => {
                RpcRefusal::Conflict(format!("`{}` {stale}; ask again", request.server))
            }
            other => RpcRefusal::written(other),
        })?;
        Ok(AdoptMeetingsResponse { meetings })
    }

    /// Returns the server's entry as it is now, and the revision that the list is compared with.
    fn asked(&self, id: &ServerId) -> Result<(ListTarget, u64), RpcRefusal> {
        let found = self.fleet.read(|fleet| {
            let server = fleet.server(id)?.stored.value.clone();
            Some((ListTarget { server, epoch: fleet.epoch() }, fleet.revision().seq))
        });
        let (asked, watermark) =
            found.ok_or_else(|| RpcRefusal::NotFound { kind: "server", name: name::server(id) })?;
        if asked.server.admin == AdminState::Disabled {
            return Err(disabled(id));
        }
        Ok((asked, watermark))
    }
}

fn keys(names: &[String]) -> Result<Vec<MeetingKey>, RpcRefusal> {
    if names.is_empty() || names.len() > MOST {
        return Err(RpcRefusal::field("names", format!("name 1 to {MOST} meetings, not {}", names.len())));
    }
    let parse = |(at, text): (usize, &String)| name::parse_meeting(&format!("names[{at}]"), text);
    names.iter().enumerate().map(parse).collect()
}

fn disabled(id: &ServerId) -> RpcRefusal {
    RpcRefusal::Precondition {
        reason: "SERVER_DISABLED",
        subject: name::server(id),
        problem: "a disabled server has no meetings; enable or cordon it first".into(),
    }
}

fn shown(key: &MeetingKey, adoption: AdoptionOutcome) -> AdoptedMeeting {
    let (outcome, owner) = match adoption {
        AdoptionOutcome::Adopted => (AdoptOutcome::Adopted, String::new()),
        AdoptionOutcome::Standing => (AdoptOutcome::Standing, String::new()),
        AdoptionOutcome::NotRunning => (AdoptOutcome::NotRunning, String::new()),
        AdoptionOutcome::Elsewhere(server) => (AdoptOutcome::Elsewhere, name::server(&server)),
        AdoptionOutcome::Zombie => (AdoptOutcome::Zombie, String::new()),
        AdoptionOutcome::Taken(tenant) => (AdoptOutcome::Taken, name::tenant(&tenant)),
        AdoptionOutcome::Unfit => (AdoptOutcome::Unfit, String::new()),
    };
    AdoptedMeeting { meeting: name::meeting(key), outcome: outcome.into(), owner }
}
