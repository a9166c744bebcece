//! The program `fuzz [SECONDS] [TARGET]`: it runs every target, or one, with random inputs for this
//! time each.
//!
//! `USHER_FUZZ_SEED` repeats a run. An input that violates a law is printed, and the exit code is
//! 1.

use std::{
    panic::catch_unwind,
    process::ExitCode,
    time::{Duration, Instant},
};

use rand::{SeedableRng, rngs::StdRng};
use usher_fuzz::{
    mutate, seeds,
    targets::{self, FuzzTarget},
};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let seconds = args.next().and_then(|text| text.parse().ok()).unwrap_or(30);
    let only = args.next();
    let given = std::env::var("USHER_FUZZ_SEED").ok().and_then(|text| text.parse().ok());
    let seed: u64 = given.unwrap_or_else(rand::random);
    println!("USHER_FUZZ_SEED={seed}");
    let mut well = true;
    for target in targets::ALL.iter().filter(|target| only.as_deref().is_none_or(|only| only == target.name))
    {
        well &= run(target, seed, Duration::from_secs(seconds));
    }
    if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn run(target: &FuzzTarget, seed: u64, time: Duration) -> bool {
    let mut rng = StdRng::seed_from_u64(seed);
    let seeds = seeds::of(target.name).expect("a target has seeds");
    let (started, mut runs) = (Instant::now(), 0u64);
    while started.elapsed() < time {
        // Every seed first: among them are the inputs that broke a law once.
        let seed = usize::try_from(runs).ok().and_then(|run| seeds.get(run)).cloned();
        let input = seed.unwrap_or_else(|| mutate::input(&mut rng, &seeds));
        if catch_unwind(|| (target.run)(&input)).is_err() {
            println!("{}: a law is violated by {:?}", target.name, String::from_utf8_lossy(&input));
            println!("{}: as bytes {input:?}", target.name);
            return false;
        }
        runs += 1;
    }
    println!("{}: {runs} inputs, none violated a law", target.name);
    true
}
