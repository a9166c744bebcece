//! The cell of a call whose tenant several cells have, because it moves or by mistake (ADR 40).

use usher_bbb::call::CallStrategy;

/// The facts about a tenant in the table of one cell that has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TenantHolding {
    /// Whether the cell has the meeting of the call.
    pub has_meeting: bool,
    /// Whether the cell has any meeting of the tenant.
    pub has_any: bool,
}

/// Returns the index of the cell that answers a call; `holdings` are those of all cells that have the tenant, the
/// owner first. A meeting that runs stays where it is, so that no class is split. `None` means that no single cell
/// knows the answer: a list without the meetings or recordings of one cell would be wrong, and some applications
/// forget what a list does not contain (I13).
pub fn answering(strategy: CallStrategy, holdings: &[TenantHolding]) -> Option<usize> {
    match strategy {
        _ if holdings.len() < 2 => Some(0),
        CallStrategy::Place | CallStrategy::Redirect | CallStrategy::Owner(_) => {
            Some(holdings.iter().position(|holding| holding.has_meeting).unwrap_or(0))
        }
        CallStrategy::EveryServer(_) => {
            let mut with_meetings = (0..).zip(holdings).filter(|(_, holding)| holding.has_any);
            let first = with_meetings.next().map_or(0, |(index, _)| index);
            with_meetings.next().is_none().then_some(first)
        }
        // The tables do not know recordings.
        CallStrategy::Recordings(_) => None,
        CallStrategy::Hooks(_) | CallStrategy::Local(_) | CallStrategy::Session | CallStrategy::Gone => {
            Some(0)
        }
    }
}

#[cfg(test)]
mod tests {
    use usher_bbb::call::ApiCall;

    use super::*;

    const NONE: TenantHolding = TenantHolding { has_meeting: false, has_any: false };
    const OTHERS: TenantHolding = TenantHolding { has_meeting: false, has_any: true };
    const IT: TenantHolding = TenantHolding { has_meeting: true, has_any: true };

    #[test]
    fn the_answering_cell_follows_the_table() {
        let of = |call: ApiCall, holdings: &[TenantHolding]| answering(call.strategy(), holdings);
        for call in [ApiCall::Create, ApiCall::Join, ApiCall::End, ApiCall::GetMeetingInfo] {
            assert_eq!(of(call, &[OTHERS, IT]), Some(1), "{call:?} of a meeting that runs in the other cell");
            assert_eq!(of(call, &[IT, IT]), Some(0), "{call:?} of two meetings of one name");
            assert_eq!(of(call, &[NONE, OTHERS]), Some(0), "{call:?} of a new meeting");
        }
        for call in [ApiCall::GetMeetings, ApiCall::GetSessions] {
            assert_eq!(of(call, &[NONE, NONE]), Some(0), "{call:?}");
            assert_eq!(of(call, &[OTHERS, NONE]), Some(0), "{call:?}");
            assert_eq!(of(call, &[NONE, OTHERS]), Some(1), "{call:?}");
            assert_eq!(of(call, &[OTHERS, NONE, OTHERS]), None, "{call:?}");
        }
        for call in [ApiCall::GetRecordings, ApiCall::DeleteRecordings] {
            assert_eq!(of(call, &[NONE, NONE]), None, "{call:?}");
            assert_eq!(of(call, &[NONE]), Some(0), "{call:?}");
        }
        assert_eq!(of(ApiCall::HooksCreate, &[NONE, OTHERS]), Some(0));
    }
}
