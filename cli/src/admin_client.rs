//! The client of the administration services. Every call carries the token and has a timeout.

use std::future::Future;

use tonic::{Status, service::interceptor::InterceptedService};
use usher_proto::v1::{
    self, delivery_service_client::DeliveryServiceClient, edge_service_client::EdgeServiceClient,
    fleet_service_client::FleetServiceClient, hook_service_client::HookServiceClient,
    meeting_service_client::MeetingServiceClient, replica_service_client::ReplicaServiceClient,
    server_service_client::ServerServiceClient, tenant_service_client::TenantServiceClient,
};

use crate::{
    args::{GlobalOptions, ListQueryArgs},
    connection::{CallCredentials, FailoverChannel},
    exit::CommandFailure,
};

/// The number of entries that a page of a list may have.
const PAGE: i32 = 1000;

/// The channel of every call: it adds [`CallCredentials`].
pub type AuthorizedChannel = InterceptedService<FailoverChannel, CallCredentials>;

/// A connected client of the administration services.
#[derive(Clone)]
pub struct AdminClient(AuthorizedChannel);

impl AdminClient {
    /// Connects to an endpoint of the options that answers.
    ///
    /// # Errors
    /// An endpoint, the CA file or the token is malformed, or no control plane is reachable.
    pub async fn connect(global: &GlobalOptions) -> Result<Self, CommandFailure> {
        let credentials = CallCredentials::new(global.token.as_ref())?;
        let channel = FailoverChannel::connect(global, credentials.clone()).await?;
        Ok(Self(InterceptedService::new(channel, credentials)))
    }

    /// Returns a client of the service about servers.
    pub fn servers(&self) -> ServerServiceClient<AuthorizedChannel> {
        ServerServiceClient::new(self.0.clone())
    }

    /// Returns a client of the service about tenants.
    pub fn tenants(&self) -> TenantServiceClient<AuthorizedChannel> {
        TenantServiceClient::new(self.0.clone())
    }

    /// Returns a client of the service about meetings.
    pub fn meetings(&self) -> MeetingServiceClient<AuthorizedChannel> {
        MeetingServiceClient::new(self.0.clone())
    }

    /// Returns a client of the service about the fleet.
    pub fn fleet(&self) -> FleetServiceClient<AuthorizedChannel> {
        FleetServiceClient::new(self.0.clone())
    }

    /// Returns a client of the service about edges.
    pub fn edges(&self) -> EdgeServiceClient<AuthorizedChannel> {
        EdgeServiceClient::new(self.0.clone())
    }

    /// Returns a client of the service about replicas.
    pub fn replicas(&self) -> ReplicaServiceClient<AuthorizedChannel> {
        ReplicaServiceClient::new(self.0.clone())
    }

    /// Returns every replica that lives.
    pub async fn all_replicas(&self) -> Result<Vec<v1::Replica>, CommandFailure> {
        pages(async |page_token| {
            let request = v1::ListReplicasRequest { page_size: PAGE, page_token };
            let page = self.replicas().list_replicas(request).await?.into_inner();
            Ok((page.replicas, page.next_page_token))
        })
        .await
    }

    /// Returns every server, without secrets.
    pub async fn all_servers(&self) -> Result<Vec<v1::Server>, CommandFailure> {
        self.servers_of(&ListQueryArgs::default()).await
    }

    /// Returns the servers of a query, without secrets.
    pub async fn servers_of(&self, query: &ListQueryArgs) -> Result<Vec<v1::Server>, CommandFailure> {
        limited_pages(query.limit, async |page_size, page_token| {
            let filter = query.filter.clone().unwrap_or_default();
            let order_by = query.order_by.clone().unwrap_or_default();
            let request = v1::ListServersRequest { page_size, page_token, filter, order_by };
            let page = self.servers().list_servers(request).await?.into_inner();
            Ok((page.servers, page.next_page_token))
        })
        .await
    }

    /// Returns the server with an id, with its secret if `view` says so.
    pub async fn server(&self, id: &str, view: v1::ServerView) -> Result<v1::Server, CommandFailure> {
        let request = v1::GetServerRequest { name: server_name(id), view: view.into() };
        let server = self.servers().get_server(request).await?.into_inner().server;
        server.ok_or_else(|| {
            CommandFailure::Refused(format!("the control plane sent an answer without server `{id}`"))
        })
    }

    /// Returns the etag of a server. A command carries it so that the command reaches only the server that the
    /// operator saw (ADR 22).
    pub async fn etag(&self, id: &str) -> Result<String, CommandFailure> {
        Ok(self.server(id, v1::ServerView::Unspecified).await?.etag)
    }

    /// Returns every tenant, without secrets.
    pub async fn all_tenants(&self) -> Result<Vec<v1::Tenant>, CommandFailure> {
        pages(async |page_token| {
            let request = v1::ListTenantsRequest { page_size: PAGE, page_token };
            let page = self.tenants().list_tenants(request).await?.into_inner();
            Ok((page.tenants, page.next_page_token))
        })
        .await
    }

    /// Returns every meeting.
    pub async fn all_meetings(&self) -> Result<Vec<v1::Meeting>, CommandFailure> {
        self.meetings_of(None, None, &ListQueryArgs::default()).await
    }

    /// Returns the meetings of a query, or only those of a tenant, of a server, or of both.
    pub async fn meetings_of(
        &self,
        tenant: Option<&str>,
        server: Option<&str>,
        query: &ListQueryArgs,
    ) -> Result<Vec<v1::Meeting>, CommandFailure> {
        let parent = tenant_name(tenant.unwrap_or("-"));
        let server = server.map(server_name).unwrap_or_default();
        limited_pages(query.limit, async |page_size, page_token| {
            let request = v1::ListMeetingsRequest {
                parent: parent.clone(),
                page_size,
                page_token,
                server: server.clone(),
                filter: query.filter.clone().unwrap_or_default(),
                order_by: query.order_by.clone().unwrap_or_default(),
            };
            let page = self.meetings().list_meetings(request).await?.into_inner();
            Ok((page.meetings, page.next_page_token))
        })
        .await
    }

    /// Returns every zombie of the fleet.
    pub async fn all_zombies(&self) -> Result<Vec<v1::Zombie>, CommandFailure> {
        pages(async |page_token| {
            let request = v1::ListZombiesRequest { page_size: PAGE, page_token };
            let page = self.meetings().list_zombies(request).await?.into_inner();
            Ok((page.zombies, page.next_page_token))
        })
        .await
    }

    /// Returns a client of the service about waiting callbacks.
    pub fn deliveries(&self) -> DeliveryServiceClient<AuthorizedChannel> {
        DeliveryServiceClient::new(self.0.clone())
    }

    /// Returns every waiting callback, or only those of a tenant.
    pub async fn all_deliveries(&self, tenant: Option<&str>) -> Result<Vec<v1::Delivery>, CommandFailure> {
        let parent = format!("tenants/{}", tenant.unwrap_or("-"));
        pages(async |page_token| {
            let request = v1::ListDeliveriesRequest { parent: parent.clone(), page_size: PAGE, page_token };
            let page = self.deliveries().list_deliveries(request).await?.into_inner();
            Ok((page.deliveries, page.next_page_token))
        })
        .await
    }

    /// Returns a client of the service about webhooks.
    pub fn hooks(&self) -> HookServiceClient<AuthorizedChannel> {
        HookServiceClient::new(self.0.clone())
    }

    /// Returns every webhook, or only those of a tenant, without addresses.
    pub async fn all_hooks(&self, tenant: Option<&str>) -> Result<Vec<v1::Hook>, CommandFailure> {
        let parent = format!("tenants/{}", tenant.unwrap_or("-"));
        pages(async |page_token| {
            let (parent, view) = (parent.clone(), v1::HookView::Unspecified.into());
            let request = v1::ListHooksRequest { parent, page_size: PAGE, page_token, view };
            let page = self.hooks().list_hooks(request).await?.into_inner();
            Ok((page.hooks, page.next_page_token))
        })
        .await
    }

    /// Returns every edge of the cluster.
    pub async fn all_edges(&self) -> Result<Vec<v1::Edge>, CommandFailure> {
        pages(async |page_token| {
            let request = v1::ListEdgesRequest { page_size: PAGE, page_token };
            let page = self.edges().list_edges(request).await?.into_inner();
            Ok((page.edges, page.next_page_token))
        })
        .await
    }
}

/// Returns the resource name of a server. The argument may be the name already.
pub fn server_name(id: &str) -> String {
    format!("servers/{}", id.strip_prefix("servers/").unwrap_or(id))
}

/// Returns the resource name of a tenant. The argument may be the name already.
pub fn tenant_name(id: &str) -> String {
    format!("tenants/{}", id.strip_prefix("tenants/").unwrap_or(id))
}

/// Reads a list page by page.
async fn pages<T, F>(mut page: impl FnMut(String) -> F) -> Result<Vec<T>, CommandFailure>
where
    F: Future<Output = Result<(Vec<T>, String), Status>>,
{
    limited_pages(None, |_, token| page(token)).await
}

/// Reads at most `most` entries of a list page by page; `page` takes the size of a page and its token.
/// A repeated page token ends the list, because it would repeat for ever.
async fn limited_pages<T, F>(
    most: Option<u32>,
    mut page: impl FnMut(i32, String) -> F,
) -> Result<Vec<T>, CommandFailure>
where
    F: Future<Output = Result<(Vec<T>, String), Status>>,
{
    let most = most.map_or(usize::MAX, |most| usize::try_from(most).unwrap_or(usize::MAX));
    let (mut all, mut token) = (Vec::new(), String::new());
    loop {
        let left = most - all.len();
        let size = i32::try_from(left).unwrap_or(PAGE).min(PAGE);
        let (items, next) = page(size, token.clone()).await?;
        all.extend(items.into_iter().take(left));
        if next.is_empty() || next == token || all.len() >= most {
            return Ok(all);
        }
        token = next;
    }
}
