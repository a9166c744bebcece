//! The whole cluster in simulated time, with all randomness from one seed.
//!
//! Real are the control plane's tasks and services ([`replica`]) and the edge's table, its intake
//! of the routing stream and its decisions ([`edge`]). Simulated are the store ([`store`]), the
//! servers ([`servers`]), the links between all parts ([`network`]), the applications ([`applications`])
//! and the tools of operators ([`tools`]).
//! [`faults`] disturbs all of it, and [`witness`] judges every store revision, every meeting on
//! every server, and every answer to a client.

mod a6;
mod applications;
mod broken_guarantee;
mod chance;
mod cluster;
mod edge;
mod faults;
mod history;
mod hostile;
mod network;
mod replica;
mod runner;
mod servers;
mod store;
mod tools;
mod wall_clock;
mod witness;

use broken_guarantee::BrokenGuarantee;
use runner::{Scenario, run, run_all};
use usher_model::settings::Settings;
use witness::HistoryFigures;

/// The number of seeds, unless `USHER_SIM_SEEDS` sets it.
const SEEDS: u64 = 200;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// I1 to I4, I7 to I9, I13, X3: random histories with faults → the invariants hold at every moment,
/// and at rest after the faults.
#[test]
fn h8_i4_random_histories_kill_lose_split_and_leak_no_meeting() {
    let first = number("USHER_SIM_FROM", 1);
    let seeds = first..first + number("USHER_SIM_SEEDS", SEEDS);
    let outcomes = run_all(seeds, Scenario::Faults(None));
    let failed: Vec<_> = outcomes.iter().filter_map(|(_, outcome)| outcome.report.as_deref()).collect();
    let heads = failed.iter().filter_map(|report| report.lines().next()).collect::<Vec<_>>().join("\n");
    assert!(
        failed.is_empty(),
        "{} of {} histories failed:\n{heads}\nthe first:\n{}",
        failed.len(),
        outcomes.len(),
        failed[0]
    );
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 1..=3 {
        let (one, other) = (run(seed, Scenario::Faults(None)), run(seed, Scenario::Faults(None)));
        assert_eq!(one.fingerprint, other.fingerprint, "seed {seed}");
    }
}

/// X6: a history whose only disturbance is a hostile tenant that reports failures of its own calls
/// → every server stays online.
#[test]
fn x6_a_hostile_tenant_takes_no_server_with_good_polls_out_of_online() {
    let outcomes = run_all(1..=10, Scenario::Hostile);
    let failed: Vec<_> = outcomes.iter().filter_map(|(_, outcome)| outcome.report.as_deref()).collect();
    assert!(failed.is_empty(), "{} of 10 histories failed; the first:\n{}", failed.len(), failed[0]);
}

/// A guarantee of the store or of the polls is broken on purpose → the checker finds a violation in
/// one of twelve histories.
#[test]
fn a_broken_guarantee_is_found() {
    for sabotage in BrokenGuarantee::ALL {
        let found = (1..=12).any(|seed| run(seed, Scenario::Faults(Some(sabotage))).report.is_some());
        assert!(found, "the checker does not find {sabotage:?}");
    }
}

/// A6: the scenario of the requirement → 0 killed, 0 leaked, 0 reaped, and ids split for about one
/// poll each. The complete scenario is `USHER_SIM_A6_MINUTES=1440 USHER_SIM_SEEDS=3`.
#[test]
fn a6_nothing_is_killed_leaked_or_reaped_and_splits_last_one_poll() {
    let minutes = number("USHER_SIM_A6_MINUTES", 20);
    let seeds = if minutes > 60 { number("USHER_SIM_SEEDS", 1) } else { 1 };
    let outcomes = run_all(1..=seeds, Scenario::A6(minutes));
    let mut figures = HistoryFigures::default();
    for (seed, outcome) in &outcomes {
        assert!(outcome.report.is_none(), "seed {seed}: {}", outcome.report.as_deref().unwrap_or_default());
        figures.add(&outcome.figures);
    }
    println!("{seeds} x {minutes} min, 20 servers\n\n{figures}");
    assert!(figures.created > 100, "{figures}");
    assert_eq!((figures.killed, figures.leaked.as_secs(), figures.reaped), (0, 0, 0), "{figures}");
    let interval = Settings::default().health.interval.as_secs_f64();
    assert!(figures.split.as_secs_f64() <= 2.0 * interval * figures.splits as f64, "{figures}");
}

/// Runs one history in this process: the other tests start it, and it repeats a seed.
#[test]
#[ignore = "runs one history, named by the environment"]
fn history() {
    runner::run_here();
}
