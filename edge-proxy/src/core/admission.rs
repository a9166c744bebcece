//! The rules of the edge's budgets: who may take how much of a shared capacity, and the reasons for a
//! refusal (ADR 27). The budgets themselves are in `server/admission`.

mod shed_reason;

pub use shed_reason::ShedReason;
