//! A steady load: no resource grows, and no poll is late.
//!
//! `USHER_SOAK_SECONDS` is the duration; 20 by default.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use usher_harness::{
    client::BbbTestClient,
    cluster::TestCluster,
    figures::{self, ProcessHoldings, holdings, metric},
    process::RunningProgram,
    wait,
};

use crate::support::{arrivals, now_ms};

const WORKERS: usize = 4;
const INTERVAL: Duration = Duration::from_millis(500);

fn length() -> Result<Duration> {
    let text = std::env::var("USHER_SOAK_SECONDS").unwrap_or_else(|_| "20".to_owned());
    Ok(Duration::from_secs(text.parse().context("USHER_SOAK_SECONDS is a number")?))
}

/// Creates a meeting, joins and reads it, and ends it, repeatedly.
async fn lessons(clients: &[BbbTestClient], worker: usize, until: Instant) -> Result<usize> {
    let mut lessons = 0;
    while Instant::now() < until {
        let id = format!("lesson-{worker}-{lessons}");
        let (here, there) = (&clients[lessons % clients.len()], &clients[(lessons + 1) % clients.len()]);
        here.created(&id).await?;
        for client in [here, there] {
            client.joined(&id).await?;
            let info = client.get("getMeetingInfo", &format!("meetingID={id}")).await?;
            ensure!(info.is_success(), "{}", info.body);
        }
        let ended = there.get("end", &format!("meetingID={id}&password=mp")).await?;
        ensure!(ended.is_success(), "{}", ended.body);
        lessons += 1;
    }
    Ok(lessons)
}

/// Returns the maximum of each resource of each program in these samples.
fn most(samples: &[Vec<ProcessHoldings>]) -> Vec<ProcessHoldings> {
    let mut most = samples[0].clone();
    for sample in samples {
        for (most, now) in most.iter_mut().zip(sample) {
            most.resident_kib = most.resident_kib.max(now.resident_kib);
            most.files = most.files.max(now.files);
            most.threads = most.threads.max(now.threads);
        }
    }
    most
}

/// C4: four workers create, join and end meetings → after a warm-up, memory, open files and threads
/// of every program do not grow, and every server is polled at every interval.
#[tokio::test]
async fn c4_under_steady_load_no_resource_grows_and_polls_are_on_time() -> Result<()> {
    if !figures::is_supported() {
        eprintln!("skipped: this system does not report the resources of a process");
        return Ok(());
    }
    let (cluster, length) = (TestCluster::builder().start().await?, length()?);
    let clients = [cluster.client(0), cluster.client(1)];
    let programs: Vec<&RunningProgram> = cluster.control_planes.iter().chain(&cluster.edges).collect();
    let until = Instant::now() + length;
    let workers = futures::future::try_join_all((0..WORKERS).map(|worker| lessons(&clients, worker, until)));
    let watch = async {
        let (mut samples, mut gap) = (Vec::new(), 0);
        let mut last: Vec<u64> = cluster.sims.iter().map(|_| now_ms()).collect();
        let mut second = tokio::time::interval(Duration::from_secs(1));
        while Instant::now() < until {
            second.tick().await;
            samples.push(programs.iter().map(|program| holdings(program)).collect::<Result<Vec<_>>>()?);
            for (sim, last) in cluster.sims.iter().zip(&mut last) {
                let polls = arrivals(sim, "getMeetings");
                sim.forget_calls();
                for at in polls {
                    gap = gap.max(at.saturating_sub(*last));
                    *last = at;
                }
                gap = gap.max(now_ms().saturating_sub(*last));
            }
        }
        anyhow::Ok((samples, Duration::from_millis(gap)))
    };
    let (lessons, watched) = tokio::join!(workers, watch);
    let (lessons, (samples, gap)) = (lessons?.iter().sum::<usize>(), watched?);
    let (warm, rest) = samples.split_at(samples.len() / 2);
    for ((name, warm), rest) in
        ["control plane 0", "control plane 1", "edge 0", "edge 1"].iter().zip(most(warm)).zip(most(rest))
    {
        eprintln!("measured: {name}: {warm:?}, then {rest:?}");
        let room = warm.resident_kib / 5 + 8 * 1024;
        ensure!(rest.resident_kib <= warm.resident_kib + room, "{name} grows: {warm:?}, {rest:?}");
        ensure!(rest.files <= warm.files + 16, "{name} keeps files open: {warm:?}, {rest:?}");
        ensure!(rest.threads <= warm.threads + 4, "{name} keeps threads: {warm:?}, {rest:?}");
    }
    let mut skipped = 0.0;
    for program in &cluster.control_planes {
        skipped += metric(program, "usher_polls_skipped_total").await?;
    }
    eprintln!(
        "measured: {lessons} lessons in {length:?}; a server was polled at least every {gap:?} (interval {INTERVAL:?}), \
         {skipped} polls skipped"
    );
    ensure!(gap < INTERVAL * 5, "a server was not polled for {gap:?}");
    wait::until("every meeting to have ended", || async {
        let status = cluster.admin(0).status().await?;
        ensure!(status.meetings == 0 && status.zombies == 0, "{} and {}", status.meetings, status.zombies);
        Ok(())
    })
    .await
}
