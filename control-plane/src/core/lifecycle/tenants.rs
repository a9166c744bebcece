//! The changes that operators make to tenants.

use usher_model::{
    id::TenantId,
    request_mark::{RequestMark, RequestRelation},
    routing::TenantRoute,
};

use super::planned_step::PlannedStep;
use crate::core::{
    fleet::Fleet,
    plan::{FleetKey, Plan, PlanWrite, Stored},
};

/// The reason for which a change of a tenant was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TenantError {
    /// The store has no tenant of that name.
    #[error("not found")]
    NotFound,
    /// The store already has a tenant of that name.
    #[error("already exists")]
    Exists,
    /// A request with the same id and another content created the tenant (ADR 35).
    #[error("created by a request with the same id and another content")]
    OtherContent,
    /// Another party changed the tenant since the caller read it.
    #[error("another party changed it meanwhile")]
    Changed,
    /// Requests to this host belong to another tenant.
    #[error("host `{host}` belongs to tenant `{owner}`")]
    HostTaken {
        /// The host name that both tenants name.
        host: String,
        /// The tenant that has the host.
        owner: TenantId,
    },
    /// The secret to revoke is not one of the tenant's secrets.
    #[error("no such secret")]
    NoSuchSecret,
    /// The secret to revoke is the tenant's last one, without which no call could be verified.
    #[error("the last secret")]
    LastSecret,
}

/// Adds a tenant to the store. A tenant that the same request added before is left as it is.
///
/// # Errors
/// Returns [`TenantError::Exists`] if the name is taken, [`TenantError::OtherContent`] if a request
/// with the same id and other content took it, and [`TenantError::HostTaken`] if another tenant has
/// one of the hosts.
pub fn create_tenant(fleet: &Fleet, tenant: TenantRoute) -> Result<PlannedStep<()>, TenantError> {
    if let Some(old) = fleet.tenant(&tenant.id) {
        // The tenant may be this request's own, whose answer was lost.
        return match RequestMark::relation(old.value.created_by, tenant.created_by) {
            RequestRelation::Repeated => Ok(PlannedStep::settled(())),
            RequestRelation::OtherContent => Err(TenantError::OtherContent),
            RequestRelation::Other => Err(TenantError::Exists),
        };
    }
    hosts_are_free(fleet, &tenant)?;
    Ok(PlannedStep { plan: written(tenant, None), outcome: () })
}

/// Changes a tenant by `change`, which is applied to the stored tenant. `seen` is the revision from
/// which the change was made, if the caller states one.
///
/// # Errors
/// Returns an error if the tenant does not exist, another party changed it since `seen`, another
/// tenant has one of its hosts, or `change` fails.
pub fn update_tenant(
    fleet: &Fleet,
    id: &TenantId,
    seen: Option<u64>,
    change: impl Fn(&TenantRoute) -> Result<TenantRoute, TenantError>,
) -> Result<PlannedStep<()>, TenantError> {
    let old = fleet.tenant(id).ok_or(TenantError::NotFound)?;
    if seen.is_some_and(|seen| seen != old.modified) {
        return Err(TenantError::Changed);
    }
    let new = change(&old.value)?;
    if new == old.value {
        return Ok(PlannedStep::settled(()));
    }
    hosts_are_free(fleet, &new)?;
    Ok(PlannedStep { plan: written(new, Some(old)), outcome: () })
}

/// Writes a tenant as given, whether the store has it or not.
pub fn set_tenant(fleet: &Fleet, tenant: TenantRoute) -> PlannedStep<()> {
    let old = fleet.tenant(&tenant.id);
    if old.is_some_and(|old| old.value == tenant) {
        return PlannedStep::settled(());
    }
    PlannedStep { plan: written(tenant, old), outcome: () }
}

/// Removes a tenant. Its meetings continue, and polls remove their records when they end.
///
/// # Errors
/// Returns [`TenantError::NotFound`] if the tenant does not exist, and [`TenantError::Changed`] if
/// another party changed it since `seen`.
pub fn delete_tenant(
    fleet: &Fleet,
    id: &TenantId,
    seen: Option<u64>,
) -> Result<PlannedStep<()>, TenantError> {
    let old = fleet.tenant(id).ok_or(TenantError::NotFound)?;
    if seen.is_some_and(|seen| seen != old.modified) {
        return Err(TenantError::Changed);
    }
    let mut plan = Plan::default();
    plan.guard_seen(FleetKey::Tenant(id.clone()), Some(old));
    plan.writes.push(PlanWrite::Delete(FleetKey::Tenant(id.clone())));
    Ok(PlannedStep { plan, outcome: () })
}

fn written(tenant: TenantRoute, old: Option<&Stored<TenantRoute>>) -> Plan {
    let mut plan = Plan::default();
    plan.guard_seen(FleetKey::Tenant(tenant.id.clone()), old);
    plan.writes.push(PlanWrite::tenant(tenant));
    plan
}

/// Checks that no other tenant has one of the tenant's hosts. Two tenants that get one host at the
/// same moment are not detected, because the plan guards only its own tenant; all edges then choose
/// the tenant whose name sorts last.
fn hosts_are_free(fleet: &Fleet, tenant: &TenantRoute) -> Result<(), TenantError> {
    for host in &tenant.hosts {
        if let Some(owner) = fleet.host_owner(host, &tenant.id) {
            return Err(TenantError::HostTaken { host: host.clone(), owner: owner.clone() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use usher_bbb::secret::Secret;

    use super::*;
    use crate::core::{plan::FleetEvent, policy::Policy};

    fn tenant(id: &str, hosts: &[&str]) -> TenantRoute {
        TenantRoute {
            secrets: vec![Secret::new("s")],
            hosts: hosts.iter().map(ToString::to_string).collect(),
            ..TenantRoute::new(TenantId::parse(id).unwrap())
        }
    }

    fn fleet(tenants: &[TenantRoute]) -> Fleet {
        let mut fleet = Fleet::new(1, Policy::new(&usher_model::settings::Settings::default()));
        let stored = |value: &TenantRoute| Stored { value: value.clone(), created: 1, modified: 1 };
        let events: Vec<_> = tenants
            .iter()
            .map(|tenant| FleetEvent::Tenant(tenant.id.clone(), Some(stored(tenant))))
            .collect();
        fleet.apply(1, events, std::time::Instant::now());
        fleet
    }

    #[test]
    fn a_host_belongs_to_one_tenant() {
        let fleet = fleet(&[tenant("a", &["a.test"]), tenant("b", &[])]);
        let taken = TenantError::HostTaken { host: "a.test".into(), owner: TenantId::parse("a").unwrap() };
        assert_eq!(create_tenant(&fleet, tenant("c", &["c.test", "a.test"])), Err(taken.clone()));
        let b = TenantId::parse("b").unwrap();
        let step = update_tenant(&fleet, &b, None, |_| Ok(tenant("b", &["a.test"])));
        assert_eq!(step, Err(taken));
        let a = TenantId::parse("a").unwrap();
        assert!(update_tenant(&fleet, &a, None, |_| Ok(tenant("a", &["a.test", "x.test"]))).is_ok());
    }

    #[test]
    fn a_change_is_refused_for_an_unknown_tenant_and_after_another_change() {
        let fleet = fleet(&[tenant("a", &[])]);
        let a = TenantId::parse("a").unwrap();
        let change = |old: &TenantRoute| Ok(TenantRoute { enabled: false, ..old.clone() });
        assert_eq!(update_tenant(&fleet, &a, Some(2), change), Err(TenantError::Changed));
        assert_eq!(delete_tenant(&fleet, &a, Some(2)), Err(TenantError::Changed));
        let step = update_tenant(&fleet, &a, Some(1), change).unwrap();
        assert_eq!((step.plan.guards.len(), step.plan.writes.len()), (1, 1));
        assert!(update_tenant(&fleet, &a, None, |old| Ok(old.clone())).unwrap().plan.is_empty());
        assert_eq!(create_tenant(&fleet, tenant("a", &[])), Err(TenantError::Exists));
        let none = TenantId::parse("none").unwrap();
        assert_eq!(update_tenant(&fleet, &none, None, change), Err(TenantError::NotFound));
        assert_eq!(delete_tenant(&fleet, &none, None), Err(TenantError::NotFound));
    }
}
