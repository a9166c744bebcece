//! The rules of the edge's budgets: who may take how much of a shared capacity, and the reasons for a
//! refusal (ADR 27). The budgets themselves are in `server/admission`.

mod call_cost;
mod fair_queue;
mod fair_share;
mod share_pool;
mod shed_reason;

pub use call_cost::{COST_MAX, cost, tenant_terms};
pub use fair_queue::{FairQueue, QUANTUM, QueueEntry};
pub use fair_share::{FairShare, SharePart, ShareTerms};
pub use share_pool::{HeldShare, SharePool};
pub use shed_reason::ShedReason;
