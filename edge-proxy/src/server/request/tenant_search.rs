//! Finds the tenant of a request in the table of its cell (ADR 40).

use std::{sync::Arc, time::Duration};

use usher_bbb::call::ApiCall;
use usher_model::{
    id::{MeetingId, TenantId},
    routing::TenantRoute,
};

use super::checks::{CallHead, RequestTenant};
use crate::{
    control::{
        cell_directory::CellDirectory,
        table::{LiveTable, TenantSlot},
    },
    core::{
        cell_routes::CellChoice,
        tenant_holders::{TenantHolding, answering},
    },
    metrics::RequestOutcome,
    server::reply::CallReply,
};

/// Longest wait of a request for a table that the edge has not read yet (S16).
const FIRST_TABLE: Duration = Duration::from_secs(2);

/// A tenant with the table of its cell. The values are no guards of the table's, which must not be held while a
/// body is awaited.
#[derive(Debug)]
pub(in crate::server) struct LocatedTenant {
    /// The cell, by its place in the configuration.
    pub(super) cell: usize,
    pub(super) table: Arc<LiveTable>,
    pub(super) slot: TenantSlot,
    pub(super) route: Arc<TenantRoute>,
    /// All cells that have the tenant, the owner first; empty where there is one alone.
    claimed: Vec<usize>,
    /// Whether no other tenant can be meant.
    certain: bool,
}

/// The outcome of one look at the tables.
enum TenantLook {
    Found(LocatedTenant),
    /// No table that was read has the tenant, and one was not read.
    Unread,
    Unknown,
}

/// Finds the tenant of a request. An edge that was just started has its tables in a moment.
///
/// # Errors
/// Returns the refusal if the tenant does not exist, or the retryable one if that cannot be known.
pub(in crate::server) async fn find_tenant(
    cells: &CellDirectory,
    head: &CallHead<'_>,
) -> Result<LocatedTenant, Box<CallReply>> {
    let mut found = look(cells, head);
    if matches!(found, TenantLook::Unread) {
        match cells.only() {
            Some(current) => drop(tokio::time::timeout(FIRST_TABLE, current.ready()).await),
            None => cells.all_read(FIRST_TABLE).await,
        }
        found = look(cells, head);
    }
    match found {
        TenantLook::Found(found) => Ok(found),
        TenantLook::Unread => Err(Box::new(CallReply::unavailable_to(head.call()))),
        TenantLook::Unknown => Err(head.unknown_tenant()),
    }
}

fn look(cells: &CellDirectory, head: &CallHead<'_>) -> TenantLook {
    let Some(current) = cells.only() else { return look_in_several(cells, head) };
    let Some(table) = current.load_full() else { return TenantLook::Unread };
    let found = head.tenant(&table.tenants()).map(|found| (found.slot.clone(), Arc::clone(found.route)));
    match found {
        Some((slot, route)) => TenantLook::Found(LocatedTenant {
            cell: 0,
            table,
            slot,
            route,
            claimed: Vec::new(),
            certain: true,
        }),
        None => TenantLook::Unknown,
    }
}

fn look_in_several(cells: &CellDirectory, head: &CallHead<'_>) -> TenantLook {
    let routes = cells.routes();
    let path = head.path_tenant();
    let host = if path.is_none() && routes.need_host() { head.host() } else { None };
    match routes.choose(path, host.as_deref()) {
        CellChoice::Claimed { tenant, cells: claimed, certain } => {
            // A cell that has lost the tenant since the index was made is no claimant any more.
            let mut holders = claimed.iter().filter_map(|cell| in_cell(cells, *cell, tenant));
            let Some((cell, table, slot, route)) = holders.next() else { return TenantLook::Unknown };
            let claimed = if claimed.len() > 1 { claimed.to_vec() } else { Vec::new() };
            TenantLook::Found(LocatedTenant { cell, table, slot, route, claimed, certain })
        }
        CellChoice::Unread => TenantLook::Unread,
        CellChoice::Unknown => TenantLook::Unknown,
    }
}

fn in_cell(
    cells: &CellDirectory,
    cell: usize,
    tenant: &TenantId,
) -> Option<(usize, Arc<LiveTable>, TenantSlot, Arc<TenantRoute>)> {
    let table = cells.table(cell)?.load_full()?;
    let slot = table.tenants().by_id(tenant.as_str())?.clone();
    let route = slot.route.clone()?;
    Some((cell, table, slot, route))
}

impl LocatedTenant {
    /// Returns the tenant for the checks.
    pub(super) fn tenant(&self) -> RequestTenant<'_> {
        RequestTenant { slot: &self.slot, route: &self.route }
    }

    /// Returns the answer to a request that the checks refuse. A wrong checksum says little if the request may
    /// be that of a tenant in a cell whose table was not read: then the caller may try again.
    pub(super) fn judged(&self, call: ApiCall, refusal: Box<CallReply>) -> Box<CallReply> {
        if self.certain || refusal.outcome != RequestOutcome::checksum {
            return refusal;
        }
        Box::new(CallReply::unavailable_to(call))
    }

    /// Returns the tenant in the cell that answers the call.
    ///
    /// # Errors
    /// Returns the retryable refusal if several cells have the tenant and none of them knows the answer alone.
    pub(super) fn answering(
        self,
        cells: &CellDirectory,
        call: ApiCall,
        meeting: Option<&MeetingId>,
    ) -> Result<Self, Box<CallReply>> {
        if self.claimed.is_empty() {
            return Ok(self);
        }
        let mut holders: Vec<_> =
            self.claimed.iter().filter_map(|cell| in_cell(cells, *cell, &self.route.id)).collect();
        let holding = |slot: &TenantSlot| TenantHolding {
            has_meeting: meeting.is_some_and(|id| has_meeting(slot, call, id)),
            has_any: !slot.meetings.is_empty(),
        };
        let holdings: Vec<_> = holders.iter().map(|(_, _, slot, _)| holding(slot)).collect();
        let Some(index) = answering(call.strategy(), &holdings) else {
            return Err(Box::new(CallReply::unavailable_to(call)));
        };
        if index >= holders.len() {
            return Ok(self); // the tenant was removed everywhere since it was found
        }
        let (cell, table, slot, route) = holders.swap_remove(index);
        Ok(Self { cell, table, slot, route, ..self })
    }
}

/// Returns whether the table has the meeting. A create takes the id literally: the internal id of another meeting
/// is the name of a new one.
fn has_meeting(slot: &TenantSlot, call: ApiCall, id: &MeetingId) -> bool {
    let is_it = slot.meetings.find(id.as_str(), |found| call != ApiCall::Create || found.name == id.as_str());
    is_it == Some(true)
}
