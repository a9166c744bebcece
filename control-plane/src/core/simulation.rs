//! Random histories of the real functions against simulated servers, with a checker that knows every
//! instance (requirements A5, A6, I1–I4, I7, I9). It follows `lifecycle` and `reconcile` the way the
//! shell does: decisions are made on a replica that may be behind, and committed later, or never.
//!
//! A failure prints its choices, shrunk by proptest; `PROPTEST_CASES` sets how many are tried.

mod actions;
mod check;
mod people;
mod world;

use proptest::prelude::*;

use self::world::World;

/// Choices of one history.
fn run(seed: u32, choices: &[u16]) -> Result<(), String> {
    let mut world = World::new(seed);
    for choice in choices {
        world.step(*choice);
        world.verdict()?;
    }
    world.settle();
    world.check_at_rest()
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(300),
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// H6, H8, H11, H13: no meeting is split or leaked, and none is ended without a reason.
    #[test]
    fn h8_random_histories_hold_the_invariants(
        seed in any::<u32>(),
        choices in prop::collection::vec(any::<u16>(), 0..160),
    ) {
        if let Err(violation) = run(seed, &choices) {
            let mut world = World::new(seed);
            world.tracing = true;
            for choice in &choices {
                world.step(*choice);
            }
            world.settle();
            return Err(TestCaseError::fail(format!("{violation}\n{}", world.trace.join("\n"))));
        }
    }
}
