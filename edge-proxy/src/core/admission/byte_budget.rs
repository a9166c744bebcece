//! The bytes of bodies and answers that the process holds in memory.

use usher_model::id::TenantId;

use super::{
    fair_share::ShareTerms,
    share_pool::{HeldShare, SharePool},
};

/// Bytes of one body or answer that are not counted: so much every connection and call has in its buffers,
/// and the number of these has limits of its own. Most bodies and answers are smaller, and take no lock.
const UNCOUNTED: u64 = 16 << 10;
/// Bytes that are taken at a time, so that not every frame of a body takes a lock.
const GRAIN: u64 = 64 << 10;

/// The owner of bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ByteOwner {
    /// A tenant that has signed its request.
    Tenant(TenantId),
    /// A request that names a tenant and whose signature is not verified yet: it must not use up the
    /// tenant's own part.
    Claimed(TenantId),
    /// Lists of servers that all tenants share.
    Fleet,
}

/// The process may not hold so many bytes for this owner now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the memory for bodies and answers is in use")]
pub struct OverByteBudget;

/// The budget of bytes; clones share it. No owner waits for bytes: a request that cannot get further ones
/// is refused and gives back those that it has, so that requests never block each other. One owner, and so
/// one request, has at most half of the budget.
#[derive(Debug, Clone)]
pub struct ByteBudget {
    pool: SharePool<ByteOwner>,
    capacity: u64,
}

impl ByteBudget {
    /// Returns a budget of so many bytes; 0 means no limit.
    pub fn new(capacity: u64) -> Self {
        Self { pool: SharePool::default(), capacity: if capacity == 0 { u64::MAX / 4 } else { capacity } }
    }

    /// Returns a holder without bytes.
    pub fn holder(&self, owner: ByteOwner) -> ByteHolder {
        ByteHolder { budget: self.clone(), owner, bytes: 0, held: None }
    }

    /// Returns the bytes that are held.
    pub fn held(&self) -> u64 {
        self.pool.taken()
    }

    fn terms(&self) -> ShareTerms {
        ShareTerms { assured: 0, common: self.capacity, most: u64::MAX }
    }
}

/// The bytes of one body or answer, which are given back when the holder is dropped.
#[derive(Debug)]
pub struct ByteHolder {
    budget: ByteBudget,
    owner: ByteOwner,
    bytes: u64,
    held: Option<HeldShare<ByteOwner>>,
}

impl ByteHolder {
    /// Takes further bytes, before they are kept.
    ///
    /// # Errors
    /// The owner may not have them now; those that it has stay.
    pub fn add(&mut self, bytes: usize) -> Result<(), OverByteBudget> {
        let wanted = self.bytes.saturating_add(bytes as u64);
        let held = self.held.as_ref().map_or(0, HeldShare::amount);
        let missing = wanted.saturating_sub(UNCOUNTED + held);
        if missing > 0 {
            let (terms, whole) = (self.budget.terms(), missing.next_multiple_of(GRAIN));
            let is_granted = match &mut self.held {
                Some(held) => held.grow(whole, terms),
                None => {
                    self.held = self.budget.pool.hold(&self.owner, whole, terms);
                    self.held.is_some()
                }
            };
            if !is_granted {
                return Err(OverByteBudget);
            }
        }
        self.bytes = wanted;
        Ok(())
    }

    /// Returns whether some of the bytes are counted.
    pub fn is_counted(&self) -> bool {
        self.held.is_some()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn owner(name: &str) -> ByteOwner {
        ByteOwner::Tenant(TenantId::parse(name).unwrap())
    }

    proptest! {
        #[test]
        fn bytes_never_leak_and_never_exceed_the_budget(
            parts in prop::collection::vec((0_usize..6, 0_usize..300_000, any::<bool>()), 0..200),
        ) {
            let budget = ByteBudget::new(4 << 20);
            let mut holders: Vec<ByteHolder> = Vec::new();
            for (number, bytes, ends) in parts {
                if ends && !holders.is_empty() {
                    holders.swap_remove(number % holders.len());
                    continue;
                }
                while holders.len() <= number {
                    holders.push(budget.holder(owner(&format!("t{}", holders.len()))));
                }
                let before = holders[number].bytes;
                let added = holders[number].add(bytes);
                let expected = before + if added.is_ok() { bytes as u64 } else { 0 };
                prop_assert_eq!(holders[number].bytes, expected);
                let counted: u64 = holders.iter().map(|holder| holder.bytes.saturating_sub(UNCOUNTED)).sum();
                prop_assert!(counted <= budget.held() && budget.held() <= 4 << 20);
            }
            drop(holders);
            prop_assert_eq!(budget.held(), 0);
        }
    }

    #[test]
    fn one_request_has_at_most_half_and_small_ones_are_free() {
        let budget = ByteBudget::new(1 << 20);
        let mut large = budget.holder(owner("a"));
        let granted = (0..100).take_while(|_| large.add(64 << 10).is_ok()).count();
        assert_eq!((granted, budget.held()), (8, 512 << 10));
        let mut small = budget.holder(owner("a"));
        assert_eq!((small.add(16 << 10), small.add(1)), (Ok(()), Err(OverByteBudget)));
        let mut other = budget.holder(owner("b"));
        assert_eq!(other.add(200 << 10), Ok(()));
        drop((large, small, other));
        assert_eq!(budget.held(), 0);
        let mut unlimited = ByteBudget::new(0).holder(ByteOwner::Fleet);
        assert_eq!(unlimited.add(usize::MAX >> 4), Ok(()));
    }
}
