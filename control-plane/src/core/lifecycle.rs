//! The life of a record, as guarded plans: requirements A5, row by row.
//!
//! Each function reads the fleet at one revision and returns a [`PlannedStep`]. Its plan guards
//! everything from which the decision was made: the record, the zombies that it changes, and the
//! server and health of every server that gains or loses a record (I7). When the store refuses the
//! plan, the caller applies the newer revisions of the store and calls the function again. A plan that
//! is committed twice, late or after a newer one fails its own guards.
//!
//! ```text
//!            place                confirm, poll            report_end         poll: gone
//!   (none) ─────────> PENDING ───────────────────> ACTIVE ───────────> ENDING ──────────> (none)
//!     ▲                  │ abandon, gone              │ create while offline, supersede
//!     └──────────────────┘                            └────> PENDING elsewhere + waiting zombie
//! ```

mod abandon;
mod adopt;
mod confirm;
mod end;
mod evacuate;
mod order;
mod place;
mod relocate;
mod room;
mod servers;
mod supersede;
mod tenants;

#[cfg(test)]
mod tests;

pub use abandon::{CreateCertainty, abandon};
pub use adopt::{AdoptionOutcome, adopt};
pub use confirm::{CreateAnswer, confirm};
pub use end::{EndReport, EndReportOutcome, report_end};
pub(in crate::core) use evacuate::evacuate;
pub use evacuate::panic_server;
pub use order::{MeetingOrder, ServerOrder};
pub use place::{CreateRequest, PlacementOutcome, place};
pub(in crate::core) use relocate::is_done;
pub use relocate::{NewAddress, relocate};
pub use room::{NoRoomServer, place_room};
pub(in crate::core) use servers::drained;
pub use servers::{create_server, delete_server, set_admin, update_server};
pub use supersede::{SupersedeError, forget_zombie, supersede};
pub use tenants::{TenantError, create_tenant, delete_tenant, set_tenant, update_tenant};
use usher_model::id::ServerId;

use crate::core::plan::Plan;

/// A decision: the plan to commit, and the outcome that holds once it is committed. With an empty
/// plan the outcome holds at once.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep<T> {
    /// The guarded writes to commit; empty if the decision changes no key.
    pub plan: Plan,
    /// The result that holds when the plan is committed.
    pub outcome: T,
}

impl<T> PlannedStep<T> {
    fn settled(outcome: T) -> Self {
        Self { plan: Plan::default(), outcome }
    }
}

/// Whether an operation of several steps is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationProgress {
    /// The operation is complete once the plan of this step is committed.
    Done,
    /// The caller commits the plan, applies the store up to it, and calls the function again.
    Again,
}

/// The reason for which an administrative change was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The store has no resource of that name.
    #[error("not found")]
    NotFound,
    /// The store already has a resource of that name.
    #[error("already exists")]
    Exists,
    /// Another party changed the resource since the caller read it.
    #[error("another party changed it meanwhile")]
    Changed,
    /// The number of meetings that live on the server, which blocks the change (S7). The operator
    /// can cordon the server and wait, or run a panic.
    #[error("{0} meetings live on the server")]
    HasMeetings(usize),
    /// Another entry has the address (ADR 21).
    #[error("server `{0}` has this address")]
    AddressTaken(ServerId),
}
