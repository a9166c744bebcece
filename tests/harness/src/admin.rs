//! Administration of a cluster under test over gRPC.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use tonic::transport::{Channel, Endpoint};
use usher_proto::v1::{
    self, delivery_service_client::DeliveryServiceClient, edge_service_client::EdgeServiceClient,
    fleet_service_client::FleetServiceClient, meeting_service_client::MeetingServiceClient,
    server_service_client::ServerServiceClient, tenant_service_client::TenantServiceClient,
};

use crate::wait;

/// A gRPC client of one control plane.
#[derive(Debug, Clone)]
pub struct TestAdmin {
    channel: Channel,
}

impl TestAdmin {
    /// Returns a client of the control plane at this address; it connects at the first call.
    ///
    /// # Panics
    /// Never: an address makes a URI.
    pub fn new(address: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).expect("an address makes a URI");
        Self { channel: endpoint.timeout(wait::DEADLINE).connect_lazy() }
    }

    /// Returns the channel, for services that have no method here.
    pub fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Adds a server and enables it.
    ///
    /// # Errors
    /// When the control plane refuses or cannot be reached.
    pub async fn add_server(&self, id: &str, url: &str, secret: &str) -> Result<v1::Server> {
        let server = v1::Server {
            url: url.to_owned(),
            secret: secret.to_owned(),
            weight: 1.0,
            admin_state: v1::AdminState::Enabled.into(),
            ..Default::default()
        };
        self.create_server(id, server).await
    }

    /// Adds a server with exactly these fields.
    ///
    /// # Errors
    /// When the control plane refuses or cannot be reached.
    pub async fn create_server(&self, id: &str, server: v1::Server) -> Result<v1::Server> {
        let request = v1::CreateServerRequest {
            server: Some(server),
            server_id: id.to_owned(),
            validate_only: false,
            request_id: String::new(),
        };
        let answer = self.servers_client().create_server(request).await?.into_inner();
        answer.server.context("a created server is answered")
    }

    /// Returns one server.
    ///
    /// # Errors
    /// When the server does not exist, or the control plane cannot be reached.
    pub async fn server(&self, id: &str) -> Result<v1::Server> {
        let request = v1::GetServerRequest { name: format!("servers/{id}"), ..Default::default() };
        let answer = self.servers_client().get_server(request).await?.into_inner();
        answer.server.context("a server that was found is answered")
    }

    /// Returns every server, page by page.
    ///
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn servers(&self) -> Result<Vec<v1::Server>> {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request =
                v1::ListServersRequest { page_size: 7, page_token, ..v1::ListServersRequest::default() };
            let page = self.servers_client().list_servers(request).await?.into_inner();
            found.extend(page.servers);
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            page_token = page.next_page_token;
        }
    }

    /// Polls one server now, or all of them for `-`, and returns their state after the poll.
    ///
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn poll(&self, id: &str) -> Result<Vec<v1::Server>> {
        let request = v1::PollServerRequest { name: format!("servers/{id}") };
        Ok(self.servers_client().poll_server(request).await?.into_inner().servers)
    }

    /// Returns every meeting of every tenant, page by page.
    ///
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn meetings(&self) -> Result<Vec<v1::Meeting>> {
        let (mut found, mut page_token) = (Vec::new(), String::new());
        loop {
            let request = v1::ListMeetingsRequest {
                parent: "tenants/-".to_owned(),
                page_size: 1000,
                page_token,
                ..v1::ListMeetingsRequest::default()
            };
            let page = self.meetings_client().list_meetings(request).await?.into_inner();
            found.extend(page.meetings);
            if page.next_page_token.is_empty() {
                return Ok(found);
            }
            page_token = page.next_page_token;
        }
    }

    /// Returns every stored callback that is not delivered yet.
    ///
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn deliveries(&self) -> Result<Vec<v1::Delivery>> {
        let mut client = DeliveryServiceClient::new(self.channel.clone());
        let request = v1::ListDeliveriesRequest { page_size: 1000, ..Default::default() };
        Ok(client.list_deliveries(request).await?.into_inner().deliveries)
    }

    /// Returns the status of the fleet.
    ///
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn status(&self) -> Result<v1::GetStatusResponse> {
        let mut client = FleetServiceClient::new(self.channel.clone());
        Ok(client.get_status(v1::GetStatusRequest {}).await?.into_inner())
    }

    /// Returns the edges connected to this control plane.
    ///
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn edges(&self) -> Result<Vec<v1::Edge>> {
        let own = self.status().await?.replica;
        let mut client = EdgeServiceClient::new(self.channel.clone());
        let request = v1::ListEdgesRequest { page_size: 1000, ..Default::default() };
        let all = client.list_edges(request).await?.into_inner().edges;
        Ok(all.into_iter().filter(|edge| edge.replica == own).collect())
    }

    /// Adds a tenant.
    ///
    /// # Errors
    /// When the control plane refuses or cannot be reached.
    pub async fn add_tenant(&self, id: &str, secret: &str, hosts: &[&str]) -> Result<v1::Tenant> {
        let tenant = v1::Tenant {
            secrets: vec![secret.to_owned()],
            hosts: hosts.iter().map(ToString::to_string).collect(),
            ..Default::default()
        };
        self.create_tenant(id, tenant).await
    }

    /// Adds a tenant with exactly these fields.
    ///
    /// # Errors
    /// When the control plane refuses or cannot be reached.
    pub async fn create_tenant(&self, id: &str, tenant: v1::Tenant) -> Result<v1::Tenant> {
        let request = v1::CreateTenantRequest {
            tenant: Some(tenant),
            tenant_id: id.to_owned(),
            request_id: String::new(),
        };
        let answer = self.tenants_client().create_tenant(request).await?.into_inner();
        answer.tenant.context("a created tenant is answered")
    }

    /// Returns the generated client of the tenant service.
    pub fn tenants_client(&self) -> TenantServiceClient<Channel> {
        TenantServiceClient::new(self.channel.clone())
    }

    /// Returns the generated client of the server service.
    pub fn servers_client(&self) -> ServerServiceClient<Channel> {
        ServerServiceClient::new(self.channel.clone())
    }

    /// Returns the generated client of the meeting service.
    pub fn meetings_client(&self) -> MeetingServiceClient<Channel> {
        MeetingServiceClient::new(self.channel.clone())
    }
}
