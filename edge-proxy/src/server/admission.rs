//! The home of every budget of the edge: the calls under way of each tenant and at each server, the
//! connections and requests of each address, the bytes in memory, and of one request the size of its body,
//! the silence of its client, the number of its parts, and the time that its call may take. The rules by
//! which budgets are shared are in `core/admission`.
//!
//! The limit of all connections is the transport's (`transport/connection_limit.rs`), and the limits of
//! parameters are pure rules (`core/limits.rs`).

mod address_limits;
pub(in crate::server) mod answer_bytes;
pub(in crate::server) mod body;
pub(in crate::server) mod document;
pub(in crate::server) mod multipart;
mod request_turns;
mod tenant_budget;
mod timeouts;

pub(crate) use address_limits::{AddressLimits, ClientAddress};
pub(crate) use body::BodyLimits;
pub(in crate::server) use request_turns::RequestTurns;
pub(in crate::server) use tenant_budget::{CallShare, TenantBudget};
pub(crate) use timeouts::CallTimeouts;
