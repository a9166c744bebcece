//! The calls that an edge has under way, and the share of each tenant in them.

use usher_bbb::call::ApiCall;
use usher_model::{id::TenantId, routing::TenantRoute};

use crate::core::admission::{HeldShare, SharePool, ShedReason, cost, tenant_terms};

/// Capacity if none is configured: far more than any edge reaches.
const UNLIMITED: u64 = u64::MAX / 4;

/// The part of one call in the budget. It is given back when it is dropped: for a call that goes on without
/// its client, once the server has answered.
pub(in crate::server) type CallShare = HeldShare<TenantId>;

/// The budget of calls under way, which tenants share.
#[derive(Debug, Clone)]
pub(in crate::server) struct TenantBudget {
    calls: SharePool<TenantId>,
    /// Cost of all calls under way.
    capacity: u64,
}

impl TenantBudget {
    /// Returns a budget for calls of this cost together; 0 means no limit.
    pub(in crate::server) fn new(capacity: u32) -> Self {
        let capacity = if capacity == 0 { UNLIMITED } else { u64::from(capacity) };
        Self { calls: SharePool::default(), capacity }
    }

    /// Takes the part of a call whose signature is verified. `tenants` is the number of all tenants.
    ///
    /// # Errors
    /// Returns the reason if the tenant has as many calls under way as it may have now.
    pub(in crate::server) fn admit(
        &self,
        call: ApiCall,
        tenant: &TenantRoute,
        tenants: usize,
    ) -> Result<CallShare, ShedReason> {
        let terms = tenant_terms(self.capacity, tenants as u64, u64::from(tenant.policy.max_cost));
        self.calls.hold(&tenant.id, cost(call), terms).ok_or(ShedReason::TenantConcurrency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenant_without_a_call_under_way_is_never_refused() {
        let (budget, calls) = (TenantBudget::new(64), [ApiCall::GetMeetings, ApiCall::Create]);
        let tenant = |number: usize| TenantRoute::new(TenantId::parse(&format!("t{number}")).unwrap());
        let crowd: Vec<_> =
            std::iter::from_fn(|| budget.admit(ApiCall::IsMeetingRunning, &tenant(0), 500).ok()).collect();
        assert_eq!(crowd.len(), 8 + 16);
        let first: Vec<_> =
            (1..500).map(|number| budget.admit(calls[number % 2], &tenant(number), 500)).collect();
        assert!(first.iter().all(Result::is_ok));
        assert_eq!(budget.calls.taken(), 24 + first.iter().flatten().map(HeldShare::amount).sum::<u64>());
        drop((crowd, first));
        assert_eq!(budget.calls.taken(), 0);
    }

    #[test]
    fn a_tenant_has_no_more_than_its_own_limit() {
        let (budget, mut tenant) = (TenantBudget::new(4096), TenantRoute::new(TenantId::default_tenant()));
        tenant.policy.max_cost = 20;
        let held: Vec<_> =
            std::iter::from_fn(|| budget.admit(ApiCall::GetMeetings, &tenant, 1).ok()).take(9).collect();
        assert_eq!(held.len(), 2);
        assert!(budget.admit(ApiCall::Create, &tenant, 1).is_ok());
    }

    #[test]
    fn without_a_limit_every_call_is_admitted() {
        let (budget, tenant) = (TenantBudget::new(0), TenantRoute::new(TenantId::default_tenant()));
        let held: Vec<_> = (0..50_000).map(|_| budget.admit(ApiCall::GetMeetings, &tenant, 1)).collect();
        assert!(held.iter().all(Result::is_ok));
    }
}
