//! The work that the reading of requests takes, counted in debug builds for the tests of costs.
//!
//! The unit is one step of constant cost: a byte that was visited, copied or hashed, or two names that were
//! compared. Unlike time, the count does not depend on the machine, so that a test can state an exact bound. A
//! release build counts nothing.

#[cfg(debug_assertions)]
thread_local! {
    static STEPS: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

/// Counts steps that the current thread makes.
#[inline]
pub fn count(steps: usize) {
    #[cfg(debug_assertions)]
    STEPS.set(STEPS.get() + steps as u64);
    #[cfg(not(debug_assertions))]
    let _ = steps;
}

/// Returns the steps that `work` makes on this thread; `None` in a build that counts none.
pub fn steps_of(work: impl FnOnce()) -> Option<u64> {
    #[cfg(debug_assertions)]
    {
        let before = STEPS.get();
        work();
        Some(STEPS.get() - before)
    }
    #[cfg(not(debug_assertions))]
    {
        work();
        None
    }
}
