//! The rules of the edge's budgets: who may take how much of a shared capacity, and the reasons for a
//! refusal (ADR 27). The budgets themselves are in `server/admission`.

mod address_group;
mod address_ledger;
mod byte_budget;
mod call_cost;
mod fair_queue;
mod fair_share;
mod prompt_request;
mod request_pace;
mod server_lanes;
mod share_pool;
mod shed_reason;

pub use address_group::AddressGroup;
pub use address_ledger::AddressLedger;
pub use byte_budget::{ByteBudget, ByteHolder, ByteOwner, OverByteBudget};
pub use call_cost::{COST_MAX, cost, tenant_terms};
pub use fair_queue::{FairQueue, QUANTUM, QueueEntry};
pub use fair_share::{FairShare, SharePart, ShareTerms};
pub use prompt_request::is_prompt;
pub use request_pace::RequestPace;
pub use server_lanes::{LaneHold, ServerLane, ServerLanes};
pub use share_pool::{HeldShare, SharePool};
pub use shed_reason::ShedReason;
