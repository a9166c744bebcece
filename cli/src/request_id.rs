//! The ids of requests that create a resource. A request that is sent again after a lost answer has
//! the id of the first attempt, so that the control plane recognises it (ADR 35).

/// Returns an id for one request: 32 random hexadecimal digits.
pub(crate) fn fresh() -> String {
    format!("{:032x}", rand::random::<u128>())
}
