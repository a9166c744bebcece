//! `MeetingService`: administration of meetings and zombies.

mod entry;
mod output;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tonic::{Request, Response, Status};
use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey},
    server::{AdminState, Health, Server},
};
use usher_proto::v1::{
    AdoptMeetingsRequest, AdoptMeetingsResponse, EndMeetingRequest, EndMeetingResponse, ForgetZombieRequest,
    ForgetZombieResponse, GetMeetingRequest, GetMeetingResponse, GetZombieRequest, GetZombieResponse,
    ListMeetingsRequest, ListMeetingsResponse, ListZombiesRequest, ListZombiesResponse,
    SupersedeMeetingRequest, SupersedeMeetingResponse, WatchMeetingsRequest, WatchMeetingsResponse,
    meeting_service_server::MeetingService,
};
use usher_runtime::clock;

use self::entry::{MeetingEntry, MeetingList};
use super::{
    adopt::MeetingAdopter,
    deadline,
    list_query::{ListQuery, SortedLists},
    name,
    page::PageRequest,
    status::RpcRefusal,
    watch::{WatchStream, Watchers},
};
use crate::{
    core::{fleet::Fleet, lifecycle::EndReport, plan::Stored},
    ports::BbbServers,
    tasks::{
        admin::FleetAdmin,
        fleet_handle::FleetHandle,
        placer::{MeetingPlacer, MeetingResolver},
        writer::WriteError,
    },
};

/// Longest time that the end of a meeting waits until its create is confirmed.
const CONFIRMED_WITHIN: Duration = Duration::from_secs(2);

/// The implementation of `MeetingService`.
pub(super) struct MeetingRpc {
    fleet: FleetHandle,
    placer: MeetingPlacer,
    resolver: MeetingResolver,
    admin: FleetAdmin,
    servers: Arc<dyn BbbServers>,
    call_timeout: Duration,
    sorting: SortedLists,
    watchers: Watchers,
}

impl MeetingRpc {
    /// Returns the service. It reads `fleet` and ends meetings by `servers` within `call_timeout`.
    pub(super) fn new(
        fleet: FleetHandle,
        (placer, resolver): (MeetingPlacer, MeetingResolver),
        admin: FleetAdmin,
        servers: Arc<dyn BbbServers>,
        call_timeout: Duration,
        watchers: Watchers,
    ) -> Self {
        Self {
            fleet,
            placer,
            resolver,
            admin,
            servers,
            call_timeout,
            sorting: SortedLists::default(),
            watchers,
        }
    }
}

#[tonic::async_trait]
impl MeetingService for MeetingRpc {
    async fn list_meetings(
        &self,
        request: Request<ListMeetingsRequest>,
    ) -> Result<Response<ListMeetingsResponse>, Status> {
        let request = request.into_inner();
        let query = ListQuery::parse::<MeetingEntry<'_>>(&request.filter, &request.order_by)?;
        let scope = [&request.parent, &request.server, &request.filter, &request.order_by];
        let scope = query.as_ref().map(|_| scope.map(String::as_str));
        let page = PageRequest::parse_within(request.page_size, &request.page_token, scope.as_ref())?;
        let tenant = name::parse_tenant_parent("parent", &request.parent)?;
        let server = match request.server.as_str() {
            "" => None,
            name => Some(name::parse_server("server", name)?),
        };
        let after = page.after(meeting_of_token)?;
        if let Some(query) = query {
            let list = MeetingList { tenant, server };
            let page = query.page(&self.fleet, &list, &page, after, &self.sorting).await?;
            return Ok(Response::new(ListMeetingsResponse {
                meetings: page.items,
                next_page_token: page.next,
                total_size: page.total,
            }));
        }
        let page = self.fleet.read(|fleet| {
            let list = fleet.records_after(tenant.as_ref(), server.as_ref(), after.as_ref());
            let total = fleet.record_count(tenant.as_ref(), server.as_ref());
            let show = |(key, stored): (&MeetingKey, &Stored<MeetingRecord>)| {
                output::meeting(fleet, key, &stored.value)
            };
            page.take(total, list, |(key, _)| key.to_string(), show)
        });
        Ok(Response::new(ListMeetingsResponse {
            meetings: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    type WatchMeetingsStream = WatchStream<WatchMeetingsResponse>;

    async fn watch_meetings(
        &self,
        request: Request<WatchMeetingsRequest>,
    ) -> Result<Response<Self::WatchMeetingsStream>, Status> {
        let request = request.into_inner();
        let tenant = name::parse_tenant_parent("parent", &request.parent)?;
        let filter = ListQuery::filter::<MeetingEntry<'_>>(&request.filter)?;
        let list = MeetingList { tenant, server: None };
        Ok(Response::new(self.watchers.watch(list, filter, request.resume.map(Into::into))?))
    }

    async fn get_meeting(
        &self,
        request: Request<GetMeetingRequest>,
    ) -> Result<Response<GetMeetingResponse>, Status> {
        let key = name::parse_meeting("name", &request.into_inner().name)?;
        let meeting = self.fleet.read(|fleet| Some(output::meeting(fleet, &key, &fleet.record(&key)?.value)));
        Ok(Response::new(GetMeetingResponse { meeting: Some(meeting.ok_or_else(|| not_found(&key))?) }))
    }

    async fn end_meeting(
        &self,
        request: Request<EndMeetingRequest>,
    ) -> Result<Response<EndMeetingResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let key = name::parse_meeting("name", &request.name)?;
        let meant = instance(&request.internal_id)?;
        let (record, server) = self.confirmed(&key, deadline).await?;
        if meant.is_some_and(|meant| !record.names(&meant)) {
            return Err(RpcRefusal::another_instance(&name::meeting(&key)).into());
        }
        // An unreachable server gets the `end` later: the zombie waits for its return.
        let unsent = server.is_none();
        if let Some(server) = server {
            let Some(internal_id) = record.state.internal_id() else {
                let problem = "its server has not confirmed it yet; try again in a moment";
                return Err(RpcRefusal::retry("MEETING_PENDING", problem).into());
            };
            let call = self.servers.end(&server, internal_id, None);
            match tokio::time::timeout(self.call_timeout, call).await {
                Ok(Ok(_)) => {} // requested, or not found there: either way it is over
                Ok(Err(error)) => {
                    return Err(RpcRefusal::retry("SERVER_CALL_FAILED", error.to_string()).into());
                }
                Err(_) => {
                    return Err(RpcRefusal::retry("SERVER_CALL_FAILED", "the server did not answer").into());
                }
            }
        }
        let ended =
            EndReport { instance: record.state.internal_id(), placement: Some(&record.token), unsent };
        let ended = self.placer.report_end(&key, &record.server, ended, deadline).await;
        ended.map_err(RpcRefusal::written)?;
        Ok(Response::new(EndMeetingResponse {}))
    }

    async fn supersede_meeting(
        &self,
        request: Request<SupersedeMeetingRequest>,
    ) -> Result<Response<SupersedeMeetingResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let key = name::parse_meeting("name", &request.name)?;
        let superseded = self.admin.supersede(&key, instance(&request.internal_id)?, deadline).await;
        superseded.map_err(|error| RpcRefusal::supersede(error, name::meeting(&key)))?;
        Ok(Response::new(SupersedeMeetingResponse {}))
    }

    async fn list_zombies(
        &self,
        request: Request<ListZombiesRequest>,
    ) -> Result<Response<ListZombiesResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token)?;
        let after = page.after(zombie_of_token)?;
        let page = self.fleet.read(|fleet| {
            let list = fleet.zombies_after(after.as_ref());
            let key = |(key, _): &(&ZombieKey, &Stored<Zombie>)| format!("{}/{}", key.meeting, key.server);
            page.take(fleet.zombies().len(), list, key, |(key, stored)| output::zombie(key, &stored.value))
        });
        Ok(Response::new(ListZombiesResponse {
            zombies: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    async fn get_zombie(
        &self,
        request: Request<GetZombieRequest>,
    ) -> Result<Response<GetZombieResponse>, Status> {
        let key = name::parse_zombie("name", &request.into_inner().name)?;
        let zombie = self.fleet.read(|fleet| Some(output::zombie(&key, &fleet.zombie(&key)?.value)));
        let missing = || RpcRefusal::NotFound { kind: "zombie", name: name::zombie(&key) };
        Ok(Response::new(GetZombieResponse { zombie: Some(zombie.ok_or_else(missing)?) }))
    }

    async fn forget_zombie(
        &self,
        request: Request<ForgetZombieRequest>,
    ) -> Result<Response<ForgetZombieResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let key = name::parse_zombie("name", &request.into_inner().name)?;
        self.admin.forget_zombie(&key, deadline).await.map_err(|error| match error {
            WriteError::Decision(_) => RpcRefusal::NotFound { kind: "zombie", name: name::zombie(&key) },
            other => RpcRefusal::written(other),
        })?;
        Ok(Response::new(ForgetZombieResponse {}))
    }

    async fn adopt_meetings(
        &self,
        request: Request<AdoptMeetingsRequest>,
    ) -> Result<Response<AdoptMeetingsResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let (fleet, admin, servers) = (&self.fleet, &self.admin, &self.servers);
        let adopter = MeetingAdopter { fleet, admin, servers, call_timeout: self.call_timeout };
        Ok(Response::new(adopter.adopt(request.into_inner(), deadline).await?))
    }
}

impl MeetingRpc {
    /// Returns the record of a meeting and its server, if that can be reached. This replica may not
    /// have applied the latest writes yet, and an edge may be about to confirm the create, whose
    /// caller knows the meeting already: the record is awaited for a moment.
    async fn confirmed(
        &self,
        key: &MeetingKey,
        deadline: Instant,
    ) -> Result<(MeetingRecord, Option<Server>), RpcRefusal> {
        let give_up = deadline.min(clock::now() + CONFIRMED_WITHIN);
        let newest = self.resolver.resolve(key, give_up).await;
        newest.map_err(|error| RpcRefusal::store(&error))?;
        let mut changes = self.fleet.revisions();
        loop {
            changes.mark_unchanged();
            let found = self.fleet.read(|fleet| {
                let record = fleet.record(key)?.value.clone();
                let server = reachable(fleet, &record.server);
                Some((record, server))
            });
            let (record, server) = found.ok_or_else(|| not_found(key))?;
            let left = give_up.saturating_duration_since(clock::now());
            let awaited = server.is_some() && record.state == RecordState::Pending && !left.is_zero();
            if !awaited || !matches!(tokio::time::timeout(left, changes.changed()).await, Ok(Ok(()))) {
                return Ok((record, server));
            }
        }
    }
}

/// Reads the last meeting of the page before from its token, `TENANT/MEETING`.
fn meeting_of_token(token: &str) -> Option<MeetingKey> {
    let (tenant, meeting) = token.split_once('/')?;
    Some(MeetingKey::new(TenantId::parse(tenant).ok()?, MeetingId::parse(meeting).ok()?))
}

/// Reads the last zombie of the page before from its token, `TENANT/MEETING/SERVER`.
fn zombie_of_token(token: &str) -> Option<ZombieKey> {
    // The id of a meeting may contain slashes, that of a server contains none.
    let (meeting, server) = token.rsplit_once('/')?;
    Some(ZombieKey { meeting: meeting_of_token(meeting)?, server: ServerId::parse(server).ok()? })
}

/// Reads the instance that the request names; `None` if it names none.
fn instance(internal_id: &str) -> Result<Option<InternalMeetingId>, RpcRefusal> {
    let parsed = (!internal_id.is_empty()).then(|| InternalMeetingId::parse(internal_id)).transpose();
    parsed.map_err(|error| RpcRefusal::field("internal_id", error.to_string()))
}

fn not_found(key: &MeetingKey) -> RpcRefusal {
    RpcRefusal::NotFound { kind: "meeting", name: name::meeting(key) }
}

/// Returns the server if it is reachable.
fn reachable(fleet: &Fleet, id: &ServerId) -> Option<Server> {
    let server = fleet.server(id)?;
    let asked = server.admin() != AdminState::Disabled && server.health() != Health::Offline;
    asked.then(|| server.stored.value.clone())
}

#[cfg(test)]
mod tests;
