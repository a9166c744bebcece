//! Meetings whose record has moved on: each is ended once, by its internal id, with as many
//! attempts as needed.

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use usher_bbb::call::ApiCall;
use usher_bbb_sim::{BbbSim, FaultKind, SimFault};
use usher_harness::{
    admin::TestAdmin,
    servers::{self, SERVER_SECRET},
    standalone::RunningStandalone,
    wait,
};
use usher_proto::v1::{Health, PanicServerRequest};

use crate::support::{arrivals, becomes, has, longest_gap, now_ms};

const INTERVAL: Duration = Duration::from_millis(500);

async fn add(usher: &mut RunningStandalone, count: usize) -> Result<()> {
    let admin = usher.admin();
    for _ in 0..count {
        let (number, sim) = (usher.sims.len(), servers::start().await?);
        admin.add_server(&format!("bbb-{number}"), &sim.url(), SERVER_SECRET).await?;
        becomes(&admin, &format!("bbb-{number}"), Health::Online).await?;
        usher.sims.push(sim);
    }
    Ok(())
}

/// Disables a server and frees its ids (panic); returns their number.
async fn panic(admin: &TestAdmin, id: &str) -> Result<u32> {
    let request = PanicServerRequest { name: format!("servers/{id}"), etag: String::new() };
    Ok(admin.servers_client().panic_server(request).await?.into_inner().freed_meetings)
}

async fn no_zombies(admin: &TestAdmin) -> Result<()> {
    let zombies = admin.status().await?.zombies;
    ensure!(zombies == 0, "{zombies} zombies");
    Ok(())
}

fn internal_id(sim: &BbbSim, id: &str) -> Result<String> {
    let meetings = sim.meetings();
    let found = meetings.into_iter().find(|meeting| meeting.meeting_id == id);
    Ok(found.with_context(|| format!("{id} runs"))?.internal_id)
}

/// H15: a server is unreachable and still unhealthy → panic frees its ids at once, a create places
/// one on another server, and the old instance is ended when the server returns.
#[tokio::test]
async fn h15_panic_of_an_unreachable_server_frees_its_ids_at_once() -> Result<()> {
    let mut usher = RunningStandalone::start(1, &[("health.unhealthy_after", "60s")]).await?;
    let (client, admin) = (usher.client(), usher.admin());
    for number in 0..3 {
        client.created(&format!("lesson-{number}")).await?;
    }
    add(&mut usher, 1).await?;
    usher.sims[0].faults().set(FaultKind::HangOnAccept).await;
    becomes(&admin, "bbb-0", Health::Unhealthy).await?;
    let unhealthy = client.create("lesson-0").await?;
    ensure!(
        unhealthy.text("returncode") == Some("FAILED"),
        "while unhealthy the id is pinned: {}",
        unhealthy.body
    );
    let begun = Instant::now();
    assert_eq!(panic(&admin, "bbb-0").await?, 3);
    // The edge gets the change a moment after the control plane has answered.
    wait::until("the edge to get the change of the id", || async {
        let join = client.join("lesson-0").await?;
        ensure!(join.text("returncode") == Some("FAILED"), "{}", join.body);
        Ok(())
    })
    .await?;
    client.created("lesson-0").await?;
    let freed = begun.elapsed();
    let location = client.joined("lesson-0").await?;
    ensure!(location.starts_with(usher.sims[1].base()), "{location}");
    let unknown = client.join("lesson-1").await?;
    ensure!(unknown.text("returncode") == Some("FAILED"), "{}", unknown.body);
    assert_eq!(admin.status().await?.zombies, 3);
    let new = internal_id(&usher.sims[1], "lesson-0")?;

    usher.sims[0].faults().clear().await;
    let back = Instant::now();
    wait::until("every meeting there to be ended", || async {
        ensure!((0..3).all(|number| !has(&usher.sims[0], &format!("lesson-{number}"))));
        no_zombies(&admin).await
    })
    .await?;
    let ended = back.elapsed();
    assert_eq!(internal_id(&usher.sims[1], "lesson-0")?, new, "the new instance runs on");
    assert!(arrivals(&usher.sims[1], "end").is_empty());
    eprintln!(
        "measured: panic and a create of the same id elsewhere took {freed:?}; ended {ended:?} after the server was back"
    );
    Ok(())
}

/// H7, C6: `end` fails three times → the server becomes online nevertheless, the zombie stays
/// queued, and the fourth `end` is the last.
#[tokio::test]
async fn h7_c6_failed_ends_block_no_health_and_are_repeated() -> Result<()> {
    let mut usher = RunningStandalone::start(1, &[]).await?;
    let (client, admin) = (usher.client(), usher.admin());
    client.created("moved").await?;
    client.created("stays").await?;
    add(&mut usher, 1).await?;
    let home = &usher.sims[0];
    home.faults().set(FaultKind::Refuse).await;
    becomes(&admin, "bbb-0", Health::Offline).await?;
    client.created("moved").await?;
    home.faults().clear().await;
    home.faults().set(SimFault::new(FaultKind::Status500).on(ApiCall::End).times(3)).await;
    wait::until("the third `end` to fail", || async {
        let calls = arrivals(home, "end").len();
        ensure!(calls == 3, "{calls} calls");
        Ok(())
    })
    .await?;
    ensure!(has(home, "moved"), "none of them ended it");
    assert_eq!(admin.status().await?.zombies, 1, "it is queued until an `end` succeeded");
    becomes(&admin, "bbb-0", Health::Online).await?;
    wait::until("the zombie to be removed", || async {
        ensure!(!has(home, "moved"));
        no_zombies(&admin).await
    })
    .await?;
    assert_eq!(arrivals(home, "end").len(), 4, "the fourth succeeded, and there was no other");
    ensure!(client.joined("stays").await?.starts_with(home.base()));
    ensure!(client.joined("moved").await?.starts_with(usher.sims[1].base()));
    Ok(())
}

/// H13: a server carries out a create and its answer is lost → the application retries and gets
/// another server, and the next poll ends the meeting on the first one.
#[tokio::test]
async fn h13_a_create_whose_answer_was_lost_leaves_no_second_meeting() -> Result<()> {
    let usher = RunningStandalone::start(2, &[]).await?;
    let (client, admin) = (usher.client(), usher.admin());
    for sim in &usher.sims {
        sim.faults().set(SimFault::new(FaultKind::LostAnswer).on(ApiCall::Create).times(1)).await;
    }
    let (tries, begun) = (Cell::new(0), Instant::now());
    wait::until("it to be created", || async {
        tries.set(tries.get() + 1);
        client.created("lost").await
    })
    .await?;
    let created = begun.elapsed();
    wait::until("it to run once", || async {
        let hosts = usher.sims.iter().filter(|sim| has(sim, "lost")).count();
        ensure!(hosts == 1, "it runs on {hosts} servers");
        no_zombies(&admin).await
    })
    .await?;
    let twice = begun.elapsed().saturating_sub(created);
    let location = client.joined("lost").await?;
    let host = usher.sims.iter().find(|sim| has(sim, "lost")).context("it runs")?;
    ensure!(location.starts_with(host.base()), "{location}");
    ensure!(twice < INTERVAL * 3 + Duration::from_secs(2), "twice for {twice:?}");
    eprintln!(
        "measured: created at try {}, after {created:?}; twice for at most {twice:?} (interval {INTERVAL:?})",
        tries.get()
    );
    Ok(())
}

/// C7: a server that ends meetings slowly has five hundred zombies → the other servers are polled
/// on time meanwhile.
#[tokio::test]
async fn c7_five_hundred_zombies_on_a_slow_server_delay_no_other() -> Result<()> {
    const MEETINGS: usize = 500;
    const SLOW: Duration = Duration::from_millis(25);
    let mut usher = RunningStandalone::start(1, &[("placement.max_inflight_creates", "64")]).await?;
    let client = usher.client();
    let creates = stream::iter(0..MEETINGS).map(|number| {
        let client = &client;
        async move { client.created(&format!("lesson-{number}")).await }
    });
    creates.buffer_unordered(32).try_collect::<Vec<_>>().await?;
    add(&mut usher, 4).await?;
    let (admin, slow) = (usher.admin(), &usher.sims[0]);
    slow.faults().set(SimFault::new(FaultKind::Slow(SLOW)).on(ApiCall::End)).await;
    let (begun, from) = (Instant::now(), now_ms());
    assert_eq!(panic(&admin, "bbb-0").await? as usize, MEETINGS);
    let freed = begun.elapsed();
    wait::until_within(Duration::from_mins(2), "all of them to be ended", || no_zombies(&admin)).await?;
    let (ended, to) = (begun.elapsed(), now_ms());
    let longest = usher.sims[1..].iter().map(|sim| longest_gap(sim, from, to)).max().unwrap_or_default();
    ensure!(slow.meetings().iter().all(|meeting| meeting.ending), "all of them are ended");
    ensure!(longest < INTERVAL * 3, "another server was not polled for {longest:?}");
    eprintln!(
        "measured: {MEETINGS} ids freed in {freed:?}, their meetings ended in {ended:?} at {SLOW:?} each; the other servers \
         were polled at least every {longest:?} (interval {INTERVAL:?})"
    );
    Ok(())
}
