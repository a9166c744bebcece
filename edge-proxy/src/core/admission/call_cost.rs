//! The cost of calls, and the shares of tenants in the calls that an edge has under way.

use usher_bbb::call::{ApiCall, CallStrategy, OwnerAction};

use super::fair_share::ShareTerms;

/// The largest cost of a call. Each tenant has an assured share of at least this, so that no tenant is
/// refused a first call because of another one.
pub const COST_MAX: u64 = 8;

/// Returns the cost of a call while it is under way, 1 to [`COST_MAX`]: 1 for a call that one server answers
/// from its memory, 4 for a call that changes a meeting or brings a document, 8 for a call that all servers
/// answer.
pub fn cost(call: ApiCall) -> u64 {
    match call.strategy() {
        CallStrategy::EveryServer(_) | CallStrategy::Recordings(_) => COST_MAX,
        CallStrategy::Place | CallStrategy::Owner(OwnerAction::End | OwnerAction::Write) => 4,
        CallStrategy::Hooks(_) => 2,
        CallStrategy::Owner(OwnerAction::Read)
        | CallStrategy::Redirect
        | CallStrategy::Local(_)
        | CallStrategy::Session
        | CallStrategy::Gone => 1,
    }
}

/// Returns the terms of one of `tenants` tenants in an edge of this capacity. One half of the capacity is
/// assured to the tenants in equal shares, the other half is common. The capacity grows with the number of
/// tenants where their shares would be smaller than [`COST_MAX`]. `limit` is the tenant's own limit; 0 means
/// that it has none.
pub fn tenant_terms(capacity: u64, tenants: u64, limit: u64) -> ShareTerms {
    let half = capacity / 2;
    let assured = (half / tenants.max(1)).max(COST_MAX);
    ShareTerms { assured, common: half, most: if limit == 0 { u64::MAX } else { limit } }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_list_costs_more_than_a_create_and_a_create_more_than_a_read() {
        for (call, expected) in [
            (ApiCall::GetMeetings, 8),
            (ApiCall::GetRecordings, 8),
            (ApiCall::Create, 4),
            (ApiCall::End, 4),
            (ApiCall::InsertDocument, 4),
            (ApiCall::GetMeetingInfo, 1),
            (ApiCall::IsMeetingRunning, 1),
            (ApiCall::Join, 1),
        ] {
            assert_eq!(cost(call), expected, "{call}");
        }
        assert!(ApiCall::all().all(|call| (1..=COST_MAX).contains(&cost(call))));
    }

    proptest! {
        #[test]
        fn the_shares_of_all_tenants_fit_into_the_capacity(capacity in 16_u64..1_000_000, tenants in 0_u64..5_000) {
            let terms = tenant_terms(capacity, tenants, 0);
            prop_assert!(terms.assured >= COST_MAX);
            let sum = terms.assured * tenants.max(1) + terms.common;
            prop_assert!(sum <= capacity.max(capacity / 2 + tenants.max(1) * COST_MAX));
        }
    }
}
