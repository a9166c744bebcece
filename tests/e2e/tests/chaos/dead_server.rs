//! A server with fifty meetings fails and comes back.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use futures::future::try_join_all;
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};
use usher_harness::{
    servers::{self, SERVER_SECRET},
    standalone::RunningStandalone,
    wait,
};
use usher_proto::v1::Health;

use crate::support::{arrivals, becomes, has};

const SERVERS: usize = 20;
const MEETINGS: usize = 50;
/// The number of ids that no application creates again while their server is unreachable.
const KEPT: usize = 10;
const INTERVAL: Duration = Duration::from_millis(500);
const UNHEALTHY_AFTER: Duration = Duration::from_secs(3);
const INFLIGHT: usize = 2;

fn id(number: usize) -> String {
    format!("lesson-{number}")
}

/// Returns the largest number of creates that a server carried out at the same time; each takes
/// `CREATE_MS`.
fn most_at_once(sim: &BbbSim) -> usize {
    let times = arrivals(sim, "create");
    let under_way = |at: &u64| times.iter().filter(|t| (*at..*at + CREATE_MS).contains(t)).count();
    times.iter().map(under_way).max().unwrap_or(0)
}

const CREATE_MS: u64 = 200;

/// H5, H6, F5: a server with fifty meetings refuses connections → it is unhealthy after the first
/// failed poll and offline in time, its ids are free at once, and their creates spread over the
/// other servers, few at a time. The server returns → the first poll ends the meetings that moved
/// on, and the others can be joined when the server is online.
#[tokio::test]
async fn h5_h6_f5_fifty_meetings_of_an_offline_server_move_and_return() -> Result<()> {
    let limit = INFLIGHT.to_string();
    let settings = [("placement.max_inflight_creates", limit.as_str()), ("placement.slow_start", "0s")];
    let mut usher = RunningStandalone::start(1, &settings).await?;
    let (client, admin) = (usher.client(), usher.admin());
    for number in 0..MEETINGS {
        client.created(&id(number)).await?;
    }
    for number in 1..SERVERS {
        let sim = servers::start().await?;
        admin.add_server(&format!("bbb-{number}"), &sim.url(), SERVER_SECRET).await?;
        usher.sims.push(sim);
    }
    for number in 1..SERVERS {
        becomes(&admin, &format!("bbb-{number}"), Health::Online).await?;
    }

    usher.sims[0].faults().set(FaultKind::Refuse).await;
    let died = Instant::now();
    let unhealthy = becomes(&admin, "bbb-0", Health::Unhealthy).await?;
    let to_unhealthy = died.elapsed();
    ensure!(unhealthy.error_count == 1, "unhealthy after {} failed polls", unhealthy.error_count);
    client.joined(&id(0)).await?;
    becomes(&admin, "bbb-0", Health::Offline).await?;
    let to_offline = died.elapsed();
    let slack = Duration::from_secs(2); // a loaded machine observes late, never early
    ensure!(to_unhealthy < INTERVAL + slack, "unhealthy after {to_unhealthy:?}");
    ensure!(to_offline + INTERVAL + INTERVAL / 10 > UNHEALTHY_AFTER, "offline after {to_offline:?}");
    ensure!(to_offline < UNHEALTHY_AFTER + INTERVAL + slack, "offline after {to_offline:?}");

    let slow = FaultKind::Slow(Duration::from_millis(CREATE_MS));
    for sim in &usher.sims[1..] {
        sim.faults().set(SimFault::new(slow).on(ApiCall::Create)).await;
    }
    let storm = Instant::now();
    let creates = (KEPT..MEETINGS).chain(MEETINGS..MEETINGS + KEPT);
    try_join_all(creates.map(|number| {
        let client = &client;
        async move { client.created(&id(number)).await }
    }))
    .await?;
    let stormed = storm.elapsed();
    let spread: Vec<usize> = usher.sims[1..].iter().map(|sim| sim.meetings().len()).collect();
    let most = spread.iter().max().copied().unwrap_or_default();
    ensure!(most <= MEETINGS.div_ceil(SERVERS - 1) + 2, "the creates went to {spread:?}");
    let at_once = usher.sims[1..].iter().map(most_at_once).max().unwrap_or_default();
    ensure!(at_once <= INFLIGHT, "{at_once} creates at one server at a time");
    for number in KEPT..MEETINGS {
        client.joined(&id(number)).await?;
    }
    for number in 0..KEPT {
        let join = client.join(&id(number)).await?;
        ensure!(join.text("returncode") == Some("FAILED"), "{} is joined at a dead server", id(number));
    }

    let home = &usher.sims[0];
    home.forget_calls();
    home.faults().clear().await;
    let back = Instant::now();
    wait::until("the meetings that moved on to be ended", || async {
        let standing = (KEPT..MEETINGS).filter(|&number| has(home, &id(number))).count();
        ensure!(standing == 0, "{standing} still run twice");
        Ok(())
    })
    .await?;
    let to_ended = back.elapsed();
    let first_poll = arrivals(home, "getMeetings").first().copied().unwrap_or_default();
    let last_end = arrivals(home, "end").last().copied().unwrap_or_default();
    let after_poll = Duration::from_millis(last_end.saturating_sub(first_poll));
    becomes(&admin, "bbb-0", Health::Online).await?;
    let to_online = back.elapsed();
    wait::until("the meetings that stayed to be joinable again", || async {
        for number in 0..KEPT {
            let location = client.joined(&id(number)).await?;
            ensure!(location.starts_with(home.base()), "{location}");
        }
        Ok(())
    })
    .await?;
    let to_joined = back.elapsed();
    ensure!((0..KEPT).all(|number| has(home, &id(number))), "none of those that stayed was ended");
    ensure!(after_poll < INTERVAL + slack, "the last was ended {after_poll:?} after the first poll");
    assert_eq!(arrivals(home, "end").len(), MEETINGS - KEPT, "each is ended once, and no other");
    eprintln!(
        "measured: unhealthy after {to_unhealthy:?}, offline after {to_offline:?} (unhealthy_after {UNHEALTHY_AFTER:?}); \
         {MEETINGS} creates in {stormed:?}, at most {most} at a server, {at_once} at a time; back: superseded \
         ended after {to_ended:?} ({after_poll:?} after the first poll), online after {to_online:?}, joined \
         after {to_joined:?}"
    );
    Ok(())
}
