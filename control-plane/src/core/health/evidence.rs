//! The weight of a failed call that an edge reports (X6).
//!
//! | report of an edge | weight |
//! |---|---|
//! | no connection | counts: no request can cause it |
//! | a call that failed otherwise, of two tenants or more, while the same call succeeds elsewhere | counts |
//! | the same of a single tenant, where there is no other | counts with three meetings or more |
//! | any other | a look: the server is polled now, and that poll decides |
//!
//! So the requests of one tenant never change the health of a server whose polls are good, while another
//! tenant could be hurt by it. A call that fails everywhere is a fault of the call. That a look fails, too,
//! takes a server out of placement (`tasks::poller::round`).

use std::collections::BTreeSet;

use usher_model::id::{MeetingId, TenantId};

use crate::core::fleet::Fleet;

/// Number of meetings whose calls must have failed if there is only one tenant.
const MEETINGS_OF_ONE_TENANT: usize = 3;
/// Number of tenants whose calls must have failed if there are several.
const TENANTS: usize = 2;

/// A call to a server failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailureReport {
    /// There was no connection.
    pub no_connection: bool,
    /// Callers whose calls have failed there since one succeeded.
    pub callers: BTreeSet<(TenantId, Option<MeetingId>)>,
    /// The same call succeeded at another server meanwhile.
    pub succeeds_elsewhere: bool,
}

/// The consequence of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureWeight {
    /// It is a failure of the server.
    Counts,
    /// The server is to be looked at.
    Look,
}

/// Returns the weight of a report by the table above.
pub fn weigh(report: &FailureReport, fleet: &Fleet) -> FailureWeight {
    if report.no_connection {
        return FailureWeight::Counts;
    }
    let served = tenants_served(fleet);
    let votes: Vec<_> = report.callers.iter().filter(|(tenant, _)| served.contains(tenant)).collect();
    let failed: BTreeSet<_> = votes.iter().map(|(tenant, _)| tenant).collect();
    let meetings = votes.iter().filter(|(_, meeting)| meeting.is_some()).count();
    let is_alone = served.len() < TENANTS;
    let is_enough = failed.len() >= TENANTS || (is_alone && meetings >= MEETINGS_OF_ONE_TENANT);
    if report.succeeds_elsewhere && is_enough { FailureWeight::Counts } else { FailureWeight::Look }
}

/// Returns the tenants whose requests are served; only their calls can fail.
fn tenants_served(fleet: &Fleet) -> BTreeSet<&TenantId> {
    let tenants = fleet.tenants().map(|stored| &stored.value);
    tenants.filter(|tenant| tenant.enabled && !tenant.secrets.is_empty()).map(|tenant| &tenant.id).collect()
}
