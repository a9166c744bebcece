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
mod admin_error;
mod adopt;
mod confirm;
mod end;
mod evacuate;
mod order;
mod place;
mod planned_step;
mod relocate;
mod room;
mod servers;
mod supersede;
mod tenants;

#[cfg(test)]
mod tests;

pub use abandon::{CreateCertainty, abandon};
pub use admin_error::AdminError;
pub use adopt::{AdoptionOutcome, adopt};
pub use confirm::{CreateAnswer, confirm};
pub use end::{EndReport, EndReportOutcome, report_end};
pub(in crate::core) use evacuate::evacuate;
pub use evacuate::panic_server;
pub use order::{MeetingOrder, ServerOrder};
pub use place::{CreateRequest, PlacementOutcome, place};
pub use planned_step::{OperationProgress, PlannedStep};
pub(in crate::core) use relocate::is_done;
pub use relocate::{NewAddress, relocate};
pub use room::{NoRoomServer, place_room};
pub(in crate::core) use servers::drained;
pub use servers::{create_server, delete_server, set_admin, update_server};
pub use supersede::{SupersedeError, forget_zombie, supersede};
pub use tenants::{TenantError, create_tenant, delete_tenant, set_tenant, update_tenant};
