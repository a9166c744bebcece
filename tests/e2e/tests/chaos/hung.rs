//! Servers that accept connections and never answer delay only their own calls.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use usher_bbb_sim::FaultKind;
use usher_harness::{standalone::RunningStandalone, wait};

use crate::support::{arrivals, longest_gap, now_ms, percentile};

const SERVERS: usize = 50;
const INTERVAL: Duration = Duration::from_secs(1);
const ROUNDS: u32 = 4;
const JOINS: usize = 400;

/// Returns the median and the last percentile of the duration of joins.
async fn joins(usher: &RunningStandalone) -> Result<(Duration, Duration)> {
    let (client, mut times) = (usher.client(), Vec::new());
    for number in 0..JOINS {
        let begun = Instant::now();
        client.joined(&format!("lesson-{}", number % SERVERS)).await?;
        times.push(begun.elapsed());
    }
    Ok((percentile(&mut times, 50), percentile(&mut times, 99)))
}

/// C3, C1: 1, 8 and 16 of 50 servers hang on accept → the others are polled at every interval, and
/// joins take as long as without the fault.
#[tokio::test]
async fn c3_sixteen_hung_servers_of_fifty_delay_neither_polls_nor_joins() -> Result<()> {
    let settings =
        [("health.interval", "1s"), ("health.deadline", "900ms"), ("health.unhealthy_after", "60s")];
    let usher = RunningStandalone::start(SERVERS, &settings).await?;
    for number in 0..SERVERS {
        usher.client().created(&format!("lesson-{number}")).await?;
    }
    let without = joins(&usher).await?;
    for hung in [1, 8, 16] {
        for sim in &usher.sims[..hung] {
            sim.faults().set(FaultKind::HangOnAccept).await;
        }
        let from = now_ms();
        let (with, rounds) = tokio::join!(
            joins(&usher),
            wait::until("some rounds", || async {
                let last = &usher.sims[SERVERS - 1];
                let polls = arrivals(last, "getMeetings").into_iter().filter(|at| *at >= from).count();
                ensure!(polls > ROUNDS as usize);
                Ok(())
            })
        );
        rounds?;
        let (with, to) = (with?, now_ms());
        let gaps: Vec<Duration> = usher.sims[hung..].iter().map(|sim| longest_gap(sim, from, to)).collect();
        let longest = gaps.iter().max().copied().unwrap_or_default();
        eprintln!(
            "measured: {hung} of {SERVERS} hang: the others were polled at least every {longest:?} (interval \
             {INTERVAL:?}); join median {:?}, p99 {:?}; without {:?}, {:?}",
            with.0, with.1, without.0, without.1
        );
        ensure!(longest < INTERVAL * 2, "a healthy server was not polled for {longest:?}");
        // The median is the least sensitive to the machine's load; the last percentile of a loaded
        // machine is noise.
        ensure!(with.0 < without.0 * 3 + Duration::from_millis(10), "the median was {:?}", without.0);
        ensure!(with.1 < without.1 * 5 + Duration::from_millis(50), "the last percent was {:?}", without.1);
    }
    Ok(())
}
