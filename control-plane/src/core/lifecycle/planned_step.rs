//! The form of every decision about a record: a plan, and the outcome that the plan brings about.

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
    /// Returns a decision that changes no key.
    pub(super) fn settled(outcome: T) -> Self {
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
