//! What operators do to tenants.

use usher_common::{id::TenantId, routing::TenantRoute};

use super::{AdminError, Step};
use crate::core::{
    fleet::Fleet,
    plan::{Key, Plan, Write},
};

/// Adds or changes a tenant. `seen` is the revision the change was made from, where the caller minds;
/// 0 means that there was none.
///
/// # Errors
/// Somebody else changed it.
pub fn set_tenant(fleet: &Fleet, tenant: TenantRoute, seen: Option<u64>) -> Result<Step<()>, AdminError> {
    let old = fleet.tenant(&tenant.id);
    if seen.is_some_and(|seen| seen != old.map_or(0, |old| old.modified)) {
        return Err(AdminError::Changed);
    }
    if old.is_some_and(|old| old.value == tenant) {
        return Ok(Step::settled(()));
    }
    let mut plan = Plan::default();
    plan.guard_seen(Key::Tenant(tenant.id.clone()), old);
    plan.writes.push(Write::Tenant(tenant));
    Ok(Step { plan, outcome: () })
}

/// Removes a tenant. Its meetings go on and are reaped as ever.
///
/// # Errors
/// There is no such tenant.
pub fn delete_tenant(fleet: &Fleet, id: &TenantId) -> Result<Step<()>, AdminError> {
    let old = fleet.tenant(id).ok_or(AdminError::NotFound)?;
    let mut plan = Plan::default();
    plan.guard_seen(Key::Tenant(id.clone()), Some(old));
    plan.writes.push(Write::Delete(Key::Tenant(id.clone())));
    Ok(Step { plan, outcome: () })
}
