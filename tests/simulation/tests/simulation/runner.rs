//! Runs each history in a separate process: tokio and the hash maps derive their random numbers
//! from the start of the process, so that a seed means the same history only in a new one.

use std::{
    process::Command,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
};

use crate::{
    a6, broken_guarantee::BrokenGuarantee, chance, cluster::SimCluster, history, witness::HistoryFigures,
};

/// The history to run.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scenario {
    Faults(Option<BrokenGuarantee>),
    /// The scenario of requirements A6, for this number of minutes.
    A6(u64),
    /// No faults, and a hostile tenant.
    Hostile,
}

/// The result of one history.
#[derive(Debug, Clone)]
pub(crate) struct HistoryOutcome {
    /// Equal for equal histories.
    pub(crate) fingerprint: String,
    pub(crate) figures: HistoryFigures,
    /// The violations with the story of the first one; `None` without violations.
    pub(crate) report: Option<String>,
}

/// The number of lines of the story in a report.
const STORY: usize = 120;

impl Scenario {
    fn encode(self) -> String {
        match self {
            Self::Faults(None) => "faults".into(),
            Self::Faults(Some(sabotage)) => format!("faults-{}", sabotage.name()),
            Self::A6(minutes) => format!("a6-{minutes}"),
            Self::Hostile => "hostile".into(),
        }
    }

    fn decode(text: &str) -> Self {
        match text.split_once('-') {
            Some(("a6", minutes)) => Self::A6(minutes.parse().expect("minutes")),
            Some((_, sabotage)) => Self::Faults(Some(BrokenGuarantee::named(sabotage).expect("a sabotage"))),
            None if text == "hostile" => Self::Hostile,
            None => Self::Faults(None),
        }
    }
}

/// Runs the history that the environment names, in this process, and prints its result.
pub(crate) fn run_here() {
    let Ok(seed) = std::env::var("USHER_SIM_SEED") else { return };
    let seed: u64 = seed.parse().expect("USHER_SIM_SEED is a number");
    let scenario = Scenario::decode(&std::env::var("USHER_SIM_SCENARIO").unwrap_or_else(|_| "faults".into()));
    if let Ok(filter) = std::env::var("USHER_SIM_LOG") {
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter).without_time();
        subscriber.with_ansi(false).with_writer(std::io::stdout).init();
    }
    chance::seed_system_randomness(seed);
    // A new thread has no keys for its hash maps yet, so they follow from the seed.
    let outcome = thread::spawn(move || simulate(seed, scenario)).join().expect("the history ends");
    println!("SIMULATED {} {}", outcome.fingerprint, outcome.figures.encode());
    if let Some(report) = outcome.report {
        println!("VIOLATED {report}");
    }
}

fn simulate(seed: u64, scenario: Scenario) -> HistoryOutcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    runtime.block_on(async {
        let cluster = match scenario {
            Scenario::Faults(sabotage) => history::run(seed, sabotage).await,
            Scenario::Hostile => history::run_undisturbed(seed).await,
            Scenario::A6(minutes) => a6::run(seed, minutes as f64 / 60.0).await,
        };
        outcome(&cluster, seed, scenario)
    })
}

fn outcome(cluster: &SimCluster, seed: u64, scenario: Scenario) -> HistoryOutcome {
    let (hash, lines) = cluster.witness.fingerprint();
    let checker = cluster.witness.checker();
    let first = checker.violations.first().cloned();
    let (figures, count) = (checker.figures, checker.violations.len());
    drop(checker);
    let report = first.map(|violation| {
        let story = cluster.witness.story(&violation, STORY);
        let name = violation.meeting.map_or_else(|| "the cluster".to_owned(), |key| key.to_string());
        format!(
            "seed {seed}, {name}: {:?}: {}\n({count} violations)\n{story}\n\nreplay: USHER_SIM_SEED={seed} \
             USHER_SIM_SCENARIO={} cargo test -p usher-simulation history -- --ignored --exact --nocapture\n\
             (USHER_SIM_TRACE=1 prints every line, USHER_SIM_LOG=debug the product's log)",
            violation.kind,
            violation.text,
            scenario.encode()
        )
    });
    HistoryOutcome { fingerprint: format!("{hash:016x} {lines}"), figures, report }
}

/// Runs a history in a new process.
pub(crate) fn run(seed: u64, scenario: Scenario) -> HistoryOutcome {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program)
        .args(["history", "--exact", "--ignored", "--nocapture", "--test-threads=1"])
        .env("USHER_SIM_SEED", seed.to_string())
        .env("USHER_SIM_SCENARIO", scenario.encode())
        .output()
        .expect("a process");
    let text = String::from_utf8_lossy(&output.stdout);
    let simulated = text.lines().find_map(|line| line.split_once("SIMULATED ")).map(|(_, rest)| rest);
    let Some((fingerprint, figures)) = simulated.and_then(|line| {
        let words: Vec<&str> = line.splitn(3, ' ').collect();
        let [hash, lines, figures] = words[..] else { return None };
        Some((format!("{hash} {lines}"), HistoryFigures::decode(figures)?))
    }) else {
        let errors = String::from_utf8_lossy(&output.stderr);
        let report = format!("seed {seed}, {}: no outcome\n{text}\n{errors}", scenario.encode());
        return HistoryOutcome {
            fingerprint: String::new(),
            figures: HistoryFigures::default(),
            report: Some(report),
        };
    };
    let report = text
        .split_once("VIOLATED ")
        .map(|(_, report)| report.split("\ntest history ... ").next().unwrap_or(report).to_owned());
    HistoryOutcome { fingerprint, figures, report }
}

/// Runs the histories of many seeds, as many at a time as there are processors.
pub(crate) fn run_all(seeds: impl Iterator<Item = u64>, scenario: Scenario) -> Vec<(u64, HistoryOutcome)> {
    let seeds: Vec<u64> = seeds.collect();
    let (next, done) = (AtomicU64::new(0), Mutex::new(Vec::new()));
    let workers = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..workers.min(seeds.len()) {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    let outcome = run(*seed, scenario);
                    done.lock().unwrap_or_else(PoisonError::into_inner).push((*seed, outcome));
                }
            });
        }
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(seed, _)| *seed);
    done
}
