//! The callbacks that wait for a control plane, shared between tenants and addresses: each reader
//! of an address can call it, and each call under way holds its body and a call to a control plane.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::sync::Notify;
use usher_model::id::TenantId;

/// The largest number of callbacks under way.
const IN_ALL: usize = 256;
/// The largest number of callbacks under way for one address.
const PER_ADDRESS: usize = 8;

/// The callbacks under way; clones share them.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct HandOverShares(Arc<SharedCounts>);

#[derive(Debug, Default)]
struct SharedCounts {
    counts: Mutex<HandOverCounts>,
    freed: Notify,
    /// Addresses are counted by their hash: they may be as long as the head of a request.
    hasher: RandomState,
}

#[derive(Debug, Default)]
struct HandOverCounts {
    all: usize,
    tenants: HashMap<TenantId, usize>,
    addresses: HashMap<u64, usize>,
}

impl HandOverCounts {
    /// Counts one more callback if the shares allow it. A tenant takes at most as much as it leaves
    /// free, so that the next tenant always finds space.
    fn begin(&mut self, tenant: &TenantId, address: u64) -> bool {
        let of_tenant = self.tenants.get(tenant).copied().unwrap_or(0);
        let of_address = self.addresses.get(&address).copied().unwrap_or(0);
        if self.all >= IN_ALL || of_tenant >= IN_ALL - self.all || of_address >= PER_ADDRESS {
            return false;
        }
        self.all += 1;
        *self.tenants.entry(tenant.clone()).or_default() += 1;
        *self.addresses.entry(address).or_default() += 1;
        true
    }

    fn end(&mut self, tenant: &TenantId, address: u64) {
        self.all -= 1;
        // The count of a permit that exists is at least 1.
        if let Some(count) = self.tenants.get_mut(tenant) {
            *count -= 1;
        }
        if let Some(count) = self.addresses.get_mut(&address) {
            *count -= 1;
        }
        if self.tenants.get(tenant) == Some(&0) {
            self.tenants.remove(tenant);
        }
        if self.addresses.get(&address) == Some(&0) {
            self.addresses.remove(&address);
        }
    }
}

/// The permit of one callback under way.
#[derive(Debug)]
#[must_use]
pub(super) struct HandOverPermit {
    shares: HandOverShares,
    tenant: TenantId,
    address: u64,
}

impl Drop for HandOverPermit {
    fn drop(&mut self) {
        self.shares.lock().end(&self.tenant, self.address);
        self.shares.0.freed.notify_waiters();
    }
}

impl HandOverShares {
    /// Returns a permit for a callback to `address`, the sealed state; `None` if the shares are
    /// taken.
    pub(super) fn begin(&self, tenant: &TenantId, address: &str) -> Option<HandOverPermit> {
        let address = self.0.hasher.hash_one(address);
        let permit = || HandOverPermit { shares: self.clone(), tenant: tenant.clone(), address };
        self.lock().begin(tenant, address).then(permit)
    }

    /// Waits for a permit, until `deadline`. Servers never repeat the callbacks that they sign.
    pub(super) async fn wait(
        &self,
        tenant: &TenantId,
        address: &str,
        deadline: Instant,
    ) -> Option<HandOverPermit> {
        let permit = async {
            loop {
                let freed = self.0.freed.notified();
                tokio::pin!(freed);
                // Registered before the look, so that no permit that is freed in between is missed.
                freed.as_mut().enable();
                if let Some(permit) = self.begin(tenant, address) {
                    return permit;
                }
                freed.await;
            }
        };
        tokio::time::timeout_at(deadline.into(), permit).await.ok()
    }

    fn lock(&self) -> MutexGuard<'_, HandOverCounts> {
        self.0.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use usher_runtime::clock;

    use super::*;

    fn tenant(id: &str) -> TenantId {
        TenantId::parse(id).expect("is an id")
    }

    #[test]
    fn neither_an_address_nor_a_tenant_takes_the_shares_of_others() {
        let shares = HandOverShares::default();
        let (a, b) = (tenant("a"), tenant("b"));
        let one: Vec<_> = (0..1144).filter_map(|_| shares.begin(&a, "address")).collect();
        assert_eq!(one.len(), PER_ADDRESS);
        let many: Vec<_> = (0..1144).filter_map(|n| shares.begin(&a, &format!("address {n}"))).collect();
        assert_eq!(one.len() + many.len(), IN_ALL / 2);
        let others: Vec<_> = (0..1144).filter_map(|n| shares.begin(&b, &format!("address {n}"))).collect();
        assert_eq!(others.len(), IN_ALL / 4);
        drop((one, many, others));
        let counts = shares.lock();
        assert!(counts.all == 0 && counts.tenants.is_empty() && counts.addresses.is_empty(), "{counts:?}");
    }

    #[tokio::test]
    async fn a_callback_waits_for_a_permit_until_its_deadline() {
        let shares = HandOverShares::default();
        let a = tenant("a");
        let mut taken: Vec<_> = (0..PER_ADDRESS).filter_map(|_| shares.begin(&a, "x")).collect();
        let late = shares.wait(&a, "x", clock::now() + Duration::from_millis(20)).await;
        assert!(late.is_none());
        let waiting = shares.wait(&a, "x", clock::now() + Duration::from_secs(5));
        let freed = async {
            tokio::task::yield_now().await;
            taken.pop();
        };
        let (permit, ()) = tokio::join!(waiting, freed);
        assert!(permit.is_some());
    }
}
