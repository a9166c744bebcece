//! Conversion of tenants into messages.

use usher_model::routing::TenantRoute;
use usher_proto::v1;

use crate::{
    core::{fleet::Fleet, plan::Stored},
    grpc::{etag, name, secret_visibility::SecretVisibility},
};

/// Converts a tenant, with the figures of its meetings.
pub(super) fn tenant(fleet: &Fleet, stored: &Stored<TenantRoute>, view: SecretVisibility) -> v1::Tenant {
    let tenant = &stored.value;
    let secrets = tenant.secrets.iter().filter(|_| view == SecretVisibility::Revealed);
    v1::Tenant {
        name: name::tenant(&tenant.id),
        secrets: secrets.map(|secret| secret.expose().to_owned()).collect(),
        hosts: tenant.hosts.clone(),
        enabled: Some(tenant.enabled),
        etag: etag::of(stored.modified),
        secret_count: count(tenant.secrets.len()),
        meetings: count(fleet.meeting_count_of(&tenant.id)),
        users: u32::try_from(fleet.users_of(&tenant.id)).unwrap_or(u32::MAX),
        policy: Some((&tenant.policy).into()),
    }
}

fn count(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
