//! `ServerService`: administration of the servers.

mod entry;
mod input;
mod output;
mod relocate;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::future::join_all;
use tonic::{Request, Response, Status};
use usher_model::{
    id::ServerId,
    server::{AdminState, Server},
};
use usher_proto::v1::{
    self, CordonServerRequest, CordonServerResponse, CreateServerRequest, CreateServerResponse,
    DeleteServerRequest, DeleteServerResponse, DisableServerRequest, DisableServerResponse,
    EnableServerRequest, EnableServerResponse, GetServerRequest, GetServerResponse, ListServersRequest,
    ListServersResponse, PanicServerRequest, PanicServerResponse, PollServerRequest, PollServerResponse,
    UpdateServerRequest, UpdateServerResponse, WatchServersRequest, WatchServersResponse,
    server_service_server::ServerService,
};
use usher_runtime::clock::{self, WallClock};

use self::{
    entry::{ServerEntry, ServerList},
    input::MaskedServerUpdate,
};
use super::{
    deadline, etag,
    list_query::{ListQuery, SortedLists},
    name,
    page::PageRequest,
    request_mark,
    secret_visibility::SecretVisibility,
    status::RpcRefusal,
    watch::{WatchStream, Watchers},
};
use crate::{
    core::lifecycle::NewAddress,
    ports::BbbServers,
    tasks::{
        admin::FleetAdmin,
        fleet_handle::FleetHandle,
        leadership::Leadership,
        poll_requests::{PollRequestError, PollRequests},
        poller::{NotPolled, RunningPollers},
        writer::WriteError,
    },
};

/// Time before the caller's deadline at which a poll is abandoned, so that the caller gets an
/// answer with the reason.
const ANSWER_BEFORE: Duration = Duration::from_millis(200);

/// Whether a request changes the store or is only checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WriteEffect {
    Written,
    CheckOnly,
}

/// The implementation of `ServerService`.
pub(super) struct ServerRpc {
    fleet: FleetHandle,
    admin: FleetAdmin,
    pollers: RunningPollers,
    asks: PollRequests,
    leadership: Leadership,
    bbb: Arc<dyn BbbServers>,
    sorting: SortedLists,
    watchers: Watchers,
}

impl ServerRpc {
    /// Returns the service. It reads `fleet`, changes it by `admin`, and polls by `pollers`, or by
    /// `asks` if another replica has the `leadership`. `bbb` calls new addresses.
    pub(super) fn new(
        fleet: FleetHandle,
        admin: FleetAdmin,
        pollers: RunningPollers,
        asks: PollRequests,
        leadership: Leadership,
        bbb: Arc<dyn BbbServers>,
        watchers: Watchers,
    ) -> Self {
        Self { fleet, admin, pollers, asks, leadership, bbb, sorting: SortedLists::default(), watchers }
    }

    fn show(&self, id: &ServerId, view: SecretVisibility) -> Result<v1::Server, RpcRefusal> {
        let found = self.fleet.read(|fleet| output::by_id(fleet, id, view));
        found.ok_or_else(|| RpcRefusal::NotFound { kind: "server", name: name::server(id) })
    }

    async fn set_admin(
        &self,
        (name, etag): (&str, &str),
        admin: AdminState,
        deadline: Instant,
    ) -> Result<Option<v1::Server>, RpcRefusal> {
        let id = name::parse_server("name", name)?;
        let seen = etag::parse("etag", etag)?;
        let set = self.admin.set_admin(&id, seen, admin, deadline).await;
        set.map_err(|error| RpcRefusal::admin(error, &id))?;
        Ok(Some(self.show(&id, SecretVisibility::Masked)?))
    }

    async fn poll(&self, id: ServerId, deadline: Instant) -> Result<v1::Server, RpcRefusal> {
        let server = self.show(&id, SecretVisibility::Masked)?;
        if server.admin_state() == v1::AdminState::Disabled && server.zombies == 0 {
            return Err(RpcRefusal::Precondition {
                reason: "SERVER_DISABLED",
                subject: server.name,
                problem: "a disabled server is not polled; enable it first".into(),
            });
        }
        if self.leadership.polls() {
            let polled = tokio::time::timeout_at(deadline.into(), self.pollers.poll_now(&id)).await;
            let stopped =
                |NotPolled| RpcRefusal::retry("POLL_STOPPED", "the server is not polled here any more");
            polled.map_err(|_| RpcRefusal::Deadline("the poll took too long".into()))?.map_err(stopped)?;
        } else {
            self.asks.ask(&id, deadline).await.map_err(|error| match error {
                PollRequestError::Store(error) => RpcRefusal::store(&error),
                PollRequestError::Late => RpcRefusal::retry("NOT_POLLED", error.to_string()),
            })?;
        }
        self.show(&id, SecretVisibility::Masked)
    }
}

#[tonic::async_trait]
impl ServerService for ServerRpc {
    async fn list_servers(
        &self,
        request: Request<ListServersRequest>,
    ) -> Result<Response<ListServersResponse>, Status> {
        let request = request.into_inner();
        let query = ListQuery::parse::<ServerEntry<'_>>(&request.filter, &request.order_by)?;
        let scope = query.as_ref().map(|_| [request.filter.as_str(), request.order_by.as_str()]);
        let page = PageRequest::parse_within(request.page_size, &request.page_token, scope.as_ref())?;
        let (after, now) = (page.after(|token| ServerId::parse(token).ok())?, clock::now());
        if let Some(query) = query {
            let page = query.page(&self.fleet, &ServerList, &page, after, &self.sorting).await?;
            return Ok(Response::new(ListServersResponse {
                servers: page.items,
                next_page_token: page.next,
                total_size: page.total,
            }));
        }
        let page = self.fleet.read(|fleet| {
            let show = |server| output::server(fleet, server, SecretVisibility::Masked, now);
            let list = fleet.servers_after(after.as_ref());
            page.take(fleet.servers().len(), list, |server| server.id().to_string(), show)
        });
        Ok(Response::new(ListServersResponse {
            servers: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    type WatchServersStream = WatchStream<WatchServersResponse>;

    async fn watch_servers(
        &self,
        request: Request<WatchServersRequest>,
    ) -> Result<Response<Self::WatchServersStream>, Status> {
        let request = request.into_inner();
        let filter = ListQuery::filter::<ServerEntry<'_>>(&request.filter)?;
        Ok(Response::new(self.watchers.watch(ServerList, filter, request.resume.map(Into::into))?))
    }

    async fn get_server(
        &self,
        request: Request<GetServerRequest>,
    ) -> Result<Response<GetServerResponse>, Status> {
        let request = request.into_inner();
        let id = name::parse_server("name", &request.name)?;
        let view = match request.view() {
            v1::ServerView::Unspecified => SecretVisibility::Masked,
            v1::ServerView::RevealSecret => SecretVisibility::Revealed,
        };
        Ok(Response::new(GetServerResponse { server: Some(self.show(&id, view)?) }))
    }

    async fn create_server(
        &self,
        request: Request<CreateServerRequest>,
    ) -> Result<Response<CreateServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let mark = request_mark::of(&request.request_id, &request)?;
        let wire = request.server.ok_or_else(|| RpcRefusal::field("server", "is missing"))?;
        let server = input::new_server(wire, &request.server_id, WallClock::system().now_ms())?;
        let server = Server { created_by: Some(mark), ..server };
        let id = server.id.clone();
        if request.validate_only {
            let checked = self.admin.check_create(&server);
            checked.map_err(|error| RpcRefusal::admin(WriteError::Decision(error), &id))?;
            let shown = output::as_written(v1::Server::default(), &server);
            return Ok(Response::new(CreateServerResponse { server: Some(shown) }));
        }
        let created = self.admin.create_server(&server, deadline).await;
        created.map_err(|error| RpcRefusal::admin(error, &id))?;
        Ok(Response::new(CreateServerResponse { server: Some(self.show(&id, SecretVisibility::Masked)?) }))
    }

    async fn update_server(
        &self,
        request: Request<UpdateServerRequest>,
    ) -> Result<Response<UpdateServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let wire = request.server.ok_or_else(|| RpcRefusal::field("server", "is missing"))?;
        let id = name::parse_server("server.name", &wire.name)?;
        let seen = etag::parse("server.etag", &wire.etag)?;
        let update = MaskedServerUpdate::parse(wire, &request.update_mask.unwrap_or_default().paths)?;
        let effect = if request.validate_only { WriteEffect::CheckOnly } else { WriteEffect::Written };
        let refused = |error| RpcRefusal::admin(error, &id);
        let moves = self.fleet.read(|fleet| fleet.server(&id).map(|old| update.moves(&old.stored.value)));
        match moves {
            Some(true) => {
                self.relocate(&id, seen, &update, request.force, (effect, deadline)).await?;
            }
            _ if effect == WriteEffect::CheckOnly => {
                let checked = self.admin.check_update(&id, seen, |old| update.apply(old), update.admin).await;
                checked.map_err(|error| refused(WriteError::Decision(error)))?;
            }
            Some(false) if update.names_address() => {
                let (change, same) = (|old: &_| update.apply(old), NewAddress::SameServer);
                let written =
                    self.admin.relocate_server(&id, seen, change, update.admin, same, deadline).await;
                written.map_err(refused)?;
            }
            _ => {
                let change = |old: &_| update.apply(old);
                let written = self.admin.update_server(&id, seen, change, update.admin, deadline).await;
                written.map_err(refused)?;
            }
        }
        let shown = self.show(&id, SecretVisibility::Masked)?;
        let shown = match effect {
            WriteEffect::Written => shown,
            WriteEffect::CheckOnly => {
                let stored = self.fleet.read(|fleet| fleet.server(&id).map(|old| old.stored.value.clone()));
                match stored {
                    Some(old) => output::as_written(shown, &update.applied(&old)),
                    None => shown,
                }
            }
        };
        Ok(Response::new(UpdateServerResponse { server: Some(shown) }))
    }

    async fn delete_server(
        &self,
        request: Request<DeleteServerRequest>,
    ) -> Result<Response<DeleteServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let id = name::parse_server("name", &request.name)?;
        let seen = etag::parse("etag", &request.etag)?;
        let deleted = self.admin.delete_server(&id, seen, deadline).await;
        deleted.map_err(|error| RpcRefusal::admin(error, &id))?;
        Ok(Response::new(DeleteServerResponse {}))
    }

    async fn enable_server(
        &self,
        request: Request<EnableServerRequest>,
    ) -> Result<Response<EnableServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let server = self.set_admin((&request.name, &request.etag), AdminState::Enabled, deadline).await?;
        Ok(Response::new(EnableServerResponse { server }))
    }

    async fn cordon_server(
        &self,
        request: Request<CordonServerRequest>,
    ) -> Result<Response<CordonServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let server = self.set_admin((&request.name, &request.etag), AdminState::Cordoned, deadline).await?;
        Ok(Response::new(CordonServerResponse { server }))
    }

    async fn disable_server(
        &self,
        request: Request<DisableServerRequest>,
    ) -> Result<Response<DisableServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let server = self.set_admin((&request.name, &request.etag), AdminState::Disabled, deadline).await?;
        Ok(Response::new(DisableServerResponse { server }))
    }

    async fn panic_server(
        &self,
        request: Request<PanicServerRequest>,
    ) -> Result<Response<PanicServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let id = name::parse_server("name", &request.name)?;
        let seen = etag::parse("etag", &request.etag)?;
        let freed = self.admin.panic_server(&id, seen, deadline).await;
        let freed = freed.map_err(|error| RpcRefusal::admin(error, &id))?;
        Ok(Response::new(PanicServerResponse {
            server: Some(self.show(&id, SecretVisibility::Masked)?),
            freed_meetings: u32::try_from(freed).unwrap_or(u32::MAX),
        }))
    }

    async fn poll_server(
        &self,
        request: Request<PollServerRequest>,
    ) -> Result<Response<PollServerResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let deadline = deadline.checked_sub(ANSWER_BEFORE).unwrap_or(deadline);
        let name = request.into_inner().name;
        let polled = if name == "servers/-" {
            let ids: Vec<ServerId> = self.fleet.read(|fleet| {
                let polled = fleet.servers().filter(|server| fleet.is_polled(server.id()));
                polled.map(|server| server.id().clone()).collect()
            });
            join_all(ids.into_iter().map(|id| self.poll(id, deadline))).await
        } else {
            vec![self.poll(name::parse_server("name", &name)?, deadline).await]
        };
        let servers = polled.into_iter().collect::<Result<_, RpcRefusal>>()?;
        Ok(Response::new(PollServerResponse { servers }))
    }
}
