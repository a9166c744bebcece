//! The life of a record, as guarded plans: requirements A5, row by row.
//!
//! Each function reads the fleet at one revision and returns a [`PlannedStep`]. Its plan guards everything
//! the decision was made from: the record, the zombies it touches, and the server and health of
//! every server it puts a record on or takes one from (I7). When the store refuses the plan, apply
//! what the store has and call the function again; a plan that is committed twice, late or beside a
//! newer one fails its own guards.
//!
//! ```text
//!            place                confirm, poll            report_end         poll: gone
//!   (none) ─────────> PENDING ───────────────────> ACTIVE ───────────> ENDING ──────────> (none)
//!     ▲                  │ abandon, gone              │ place on red, supersede
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

/// A decision: what to write, and what it means once that is written. With an empty plan the outcome
/// stands at once.
#[derive(Debug, Clone, PartialEq)]
pub struct PlannedStep<T> {
    /// What to commit.
    pub plan: Plan,
    /// What holds when it is committed.
    pub outcome: T,
}

impl<T> PlannedStep<T> {
    fn settled(outcome: T) -> Self {
        Self { plan: Plan::default(), outcome }
    }
}

/// Whether an operation of several steps is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OperationProgress {
    /// It is, once the plan is committed.
    Done,
    /// Commit the plan, apply the store up to it, and call again.
    Again,
}

/// Why an administrative change was not made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// No such resource.
    #[error("not found")]
    NotFound,
    /// There is one of that name.
    #[error("already exists")]
    Exists,
    /// Somebody else changed it since it was read.
    #[error("changed meanwhile")]
    Changed,
    /// Meetings live on the server: drain it, or use panic (S7).
    #[error("{0} meetings live on the server")]
    HasMeetings(usize),
    /// Another entry has the address.
    #[error("server `{0}` has this address")]
    AddressTaken(ServerId),
}
