//! `TenantService`: administration of the tenants.

mod input;
mod output;

use std::time::Instant;

use tonic::{Request, Response, Status};
use tracing::debug;
use usher_model::{id::TenantId, routing::TenantRoute};
use usher_proto::v1::{
    self, AddTenantSecretRequest, AddTenantSecretResponse, CreateTenantRequest, CreateTenantResponse,
    DeleteTenantRequest, DeleteTenantResponse, GetTenantRequest, GetTenantResponse, ListTenantsRequest,
    ListTenantsResponse, RemoveTenantSecretRequest, RemoveTenantSecretResponse, UpdateTenantRequest,
    UpdateTenantResponse, tenant_service_server::TenantService,
};

use self::input::MaskedTenantUpdate;
use super::{
    deadline, etag, name, page::PageRequest, request_mark, secret_visibility::SecretVisibility,
    status::RpcRefusal,
};
use crate::{
    core::lifecycle::TenantError,
    notifications::tasks::hooks::WebhookRegistry,
    tasks::{admin::FleetAdmin, fleet_handle::FleetHandle},
};

/// The implementation of `TenantService`.
pub(super) struct TenantRpc {
    fleet: FleetHandle,
    admin: FleetAdmin,
    hooks: WebhookRegistry,
}

impl TenantRpc {
    /// Returns the service. It reads `fleet` and changes it by `admin`; the removal of a tenant
    /// removes its `hooks` too.
    pub(super) fn new(fleet: FleetHandle, admin: FleetAdmin, hooks: WebhookRegistry) -> Self {
        Self { fleet, admin, hooks }
    }

    fn show(&self, id: &TenantId, view: SecretVisibility) -> Result<v1::Tenant, RpcRefusal> {
        let found = self.fleet.read(|fleet| Some(output::tenant(fleet, fleet.tenant(id)?, view)));
        found.ok_or_else(|| RpcRefusal::NotFound { kind: "tenant", name: name::tenant(id) })
    }

    /// Changes a tenant and returns the result.
    async fn change(
        &self,
        id: &TenantId,
        seen: Option<u64>,
        change: impl Fn(&TenantRoute) -> Result<TenantRoute, TenantError>,
        deadline: Instant,
    ) -> Result<Option<v1::Tenant>, RpcRefusal> {
        let changed = self.admin.update_tenant(id, seen, change, deadline).await;
        changed.map_err(|error| RpcRefusal::tenant(error, id))?;
        Ok(Some(self.show(id, SecretVisibility::Masked)?))
    }
}

#[tonic::async_trait]
impl TenantService for TenantRpc {
    async fn list_tenants(
        &self,
        request: Request<ListTenantsRequest>,
    ) -> Result<Response<ListTenantsResponse>, Status> {
        let request = request.into_inner();
        let page = PageRequest::parse(request.page_size, &request.page_token)?;
        let after = page.after(|token| TenantId::parse(token).ok())?;
        let page = self.fleet.read(|fleet| {
            let show = |stored| output::tenant(fleet, stored, SecretVisibility::Masked);
            let list = fleet.tenants_after(after.as_ref());
            page.take(fleet.tenants().len(), list, |stored| stored.value.id.to_string(), show)
        });
        Ok(Response::new(ListTenantsResponse {
            tenants: page.items,
            next_page_token: page.next,
            total_size: page.total,
        }))
    }

    async fn get_tenant(
        &self,
        request: Request<GetTenantRequest>,
    ) -> Result<Response<GetTenantResponse>, Status> {
        let request = request.into_inner();
        let id = name::parse_tenant("name", &request.name)?;
        let view = match request.view() {
            v1::TenantView::Unspecified => SecretVisibility::Masked,
            v1::TenantView::RevealSecrets => SecretVisibility::Revealed,
        };
        Ok(Response::new(GetTenantResponse { tenant: Some(self.show(&id, view)?) }))
    }

    async fn create_tenant(
        &self,
        request: Request<CreateTenantRequest>,
    ) -> Result<Response<CreateTenantResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let mark = request_mark::of(&request.request_id, &request)?;
        let wire = request.tenant.ok_or_else(|| RpcRefusal::field("tenant", "is missing"))?;
        let tenant = input::new_tenant(wire, &request.tenant_id)?;
        let tenant = TenantRoute { created_by: Some(mark), ..tenant };
        let created = self.admin.create_tenant(&tenant, deadline).await;
        created.map_err(|error| RpcRefusal::tenant(error, &tenant.id))?;
        Ok(Response::new(CreateTenantResponse {
            tenant: Some(self.show(&tenant.id, SecretVisibility::Masked)?),
        }))
    }

    async fn update_tenant(
        &self,
        request: Request<UpdateTenantRequest>,
    ) -> Result<Response<UpdateTenantResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let wire = request.tenant.ok_or_else(|| RpcRefusal::field("tenant", "is missing"))?;
        let id = name::parse_tenant("tenant.name", &wire.name)?;
        let seen = etag::parse("tenant.etag", &wire.etag)?;
        let update = MaskedTenantUpdate::parse(wire, &request.update_mask.unwrap_or_default().paths)?;
        let tenant = self.change(&id, seen, |old| Ok(update.apply(old)), deadline).await?;
        Ok(Response::new(UpdateTenantResponse { tenant }))
    }

    async fn delete_tenant(
        &self,
        request: Request<DeleteTenantRequest>,
    ) -> Result<Response<DeleteTenantResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let id = name::parse_tenant("name", &request.name)?;
        let seen = etag::parse("etag", &request.etag)?;
        let deleted = self.admin.delete_tenant(&id, seen, deadline).await;
        deleted.map_err(|error| RpcRefusal::tenant(error, &id))?;
        // The tenant is removed; if its hooks are not, the leader removes them later.
        if let Err(error) = self.hooks.forget(&id).await {
            debug!(tenant = %id, %error, "webhooks of a tenant that was removed still stand");
        }
        Ok(Response::new(DeleteTenantResponse {}))
    }

    async fn add_tenant_secret(
        &self,
        request: Request<AddTenantSecretRequest>,
    ) -> Result<Response<AddTenantSecretResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let id = name::parse_tenant("name", &request.name)?;
        let secret = input::secret("secret", &request.secret)?;
        let add = |old: &TenantRoute| {
            let mut secrets = old.secrets.clone();
            if request.first {
                secrets.retain(|known| *known != secret);
                secrets.insert(0, secret.clone());
            } else if !secrets.contains(&secret) {
                secrets.push(secret.clone());
            }
            Ok(TenantRoute { secrets, ..old.clone() })
        };
        let tenant = self.change(&id, None, add, deadline).await?;
        Ok(Response::new(AddTenantSecretResponse { tenant }))
    }

    async fn remove_tenant_secret(
        &self,
        request: Request<RemoveTenantSecretRequest>,
    ) -> Result<Response<RemoveTenantSecretResponse>, Status> {
        let deadline = deadline::of(request.metadata());
        let request = request.into_inner();
        let id = name::parse_tenant("name", &request.name)?;
        let secret = input::secret("secret", &request.secret)?;
        let remove = |old: &TenantRoute| {
            let mut secrets = old.secrets.clone();
            secrets.retain(|known| *known != secret);
            match secrets.len() {
                left if left == old.secrets.len() => Err(TenantError::NoSuchSecret),
                0 => Err(TenantError::LastSecret),
                _ => Ok(TenantRoute { secrets, ..old.clone() }),
            }
        };
        let tenant = self.change(&id, None, remove, deadline).await?;
        Ok(Response::new(RemoveTenantSecretResponse { tenant }))
    }
}
