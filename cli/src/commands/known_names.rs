//! The check that a name in an option exists: a misspelt name must not look like an empty list.

use usher_proto::v1;

use crate::{
    admin_client::{AdminClient, tenant_name},
    exit::CommandFailure,
};

/// Checks that the server of `--server` exists, if one is given.
///
/// # Errors
/// It does not; the failure names it.
pub(super) async fn server(admin: &AdminClient, id: Option<&str>) -> Result<(), CommandFailure> {
    match id {
        Some(id) => admin.server(id, v1::ServerView::Unspecified).await.map(drop),
        None => Ok(()),
    }
}

/// Checks that the tenant of `--tenant` exists, if one is given.
///
/// # Errors
/// It does not; the failure names it.
pub(super) async fn tenant(admin: &AdminClient, id: Option<&str>) -> Result<(), CommandFailure> {
    let Some(id) = id else { return Ok(()) };
    let request = v1::GetTenantRequest { name: tenant_name(id), ..v1::GetTenantRequest::default() };
    admin.tenants().get_tenant(request).await?;
    Ok(())
}
