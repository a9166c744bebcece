//! Faults of every kind, one after another and two at a time, under a steady load.
//!
//! `USHER_CHAOS_SECONDS` is the duration (30 by default), divided in rounds; at the end of each
//! round every fault is healed and the invariants are checked at rest. The seed is printed, and
//! `USHER_CHAOS_SEED` sets it: then the faults are the same and in the same order, but not the
//! requests that they affect.

mod application_load;
mod current_faults;

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use usher_harness::{cluster::TestCluster, wait};
use usher_proto::v1::Health;

use self::{application_load::ApplicationLoad, current_faults::CurrentFaults};
use crate::support::now_ms;

const WORKERS: usize = 4;
const EDGES: usize = 2;
/// Longest round: servers remember a limited number of calls.
const ROUND: Duration = Duration::from_secs(30);

fn number(variable: &str, otherwise: u64) -> Result<u64> {
    let Ok(text) = std::env::var(variable) else { return Ok(otherwise) };
    text.parse().with_context(|| format!("{variable} is a number"))
}

/// H8, X3, I13: applications create, join and end meetings while random faults of control planes,
/// edges, the store and servers come and go → in each round no meeting is split or lost, and no
/// answer is wrong.
#[tokio::test]
async fn h8_x3_random_faults_under_load_split_and_lose_no_meeting() -> Result<()> {
    let seed = number("USHER_CHAOS_SEED", now_ms())?;
    let length = Duration::from_secs(number("USHER_CHAOS_SECONDS", ROUND.as_secs())?);
    eprintln!("seed: USHER_CHAOS_SEED={seed}");
    let mut chance = StdRng::seed_from_u64(seed);
    let mut cluster = TestCluster::builder()
        .etcd(3)
        .control_planes(3)
        .edges(EDGES)
        .servers(4)
        .link_stores()
        .link_planes()
        .expecting_errors()
        .start()
        .await?;
    list_again(&cluster, 0).await?;
    let (begun, mut round) = (Instant::now(), 0);
    while begun.elapsed() < length {
        round += 1;
        let since = now_ms();
        let until = Instant::now() + ROUND.min(length.saturating_sub(begun.elapsed()));
        let clients = (0..EDGES).map(|edge| cluster.client(edge)).collect();
        let school = ApplicationLoad::new(&format!("round-{round}"), clients, chance.random());
        let (answers, troubled) = tokio::join!(school.run(WORKERS), async {
            let troubled = trouble(&mut cluster, &mut chance, until).await;
            school.stop();
            troubled
        });
        let (names, blamed) = troubled.with_context(|| format!("seed {seed}, round {round}"))?;
        let healed = Instant::now();
        let rests = at_rest(&cluster).await;
        let recovered = healed.elapsed();
        eprintln!(
            "measured: round {round}: {names:?}; {}; at rest {recovered:?} after the last fault",
            answers.summary()
        );
        rests.with_context(|| format!("seed {seed}, round {round}"))?;
        let blamed = blamed.into_iter().chain(recovered_since(&cluster, since).await?).collect();
        answers.check(&cluster, &blamed).await.with_context(|| format!("seed {seed}, round {round}"))?;
        cluster.sims.iter().for_each(usher_bbb_sim::BbbSim::forget_calls);
    }
    Ok(())
}

/// Adds a server under a second entry, by another name of its machine (A5).
async fn list_again(cluster: &TestCluster, number: usize) -> Result<()> {
    let sim = &cluster.sims[number];
    let url = sim.url().replace("127.0.0.1", "localhost");
    let admin = cluster.admin(0);
    admin.add_server(&format!("again-{number}"), &url, sim.secret().expose()).await?;
    Ok(())
}

/// Returns the number of the server of an entry: `servers/bbb-0` and `servers/again-0` are the
/// same.
fn number_of(entry: &str) -> Result<usize> {
    let number = entry.rsplit('-').next().context("a name of this test")?;
    Ok(number.parse()?)
}

/// Causes faults until a point in time, then heals all of them; returns the number of each fault,
/// and the servers that had one.
async fn trouble(
    cluster: &mut TestCluster,
    chance: &mut StdRng,
    until: Instant,
) -> Result<(BTreeMap<&'static str, usize>, BTreeSet<usize>)> {
    let (mut troubles, mut names) = (CurrentFaults::default(), BTreeMap::new());
    let mut tick = tokio::time::interval(Duration::from_millis(100));
    while Instant::now() < until {
        tick.tick().await;
        within("healed", troubles.heal_expired(cluster)).await?;
        if troubles.standing() < 2 && chance.random_bool(0.15) {
            let lasting = Duration::from_millis(chance.random_range(300..5000));
            if let Some(name) = within("begun", troubles.begin(cluster, chance, lasting)).await? {
                *names.entry(name).or_default() += 1;
            }
        }
    }
    within("healed", troubles.heal_all(cluster)).await?;
    Ok((names, troubles.blamed()))
}

/// Limits the time of a change: the load continues during a fault, and a hanging change must not
/// let it grow without limit.
async fn within<T>(done: &str, change: impl Future<Output = Result<T>>) -> Result<T> {
    let changed = tokio::time::timeout(Duration::from_mins(1), change).await;
    changed.with_context(|| format!("trouble was not {done} within a minute"))?
}

/// Returns the servers that became online only after `since`: on a loaded machine polls may fail
/// without a fault, and no user is sent to an offline server.
async fn recovered_since(cluster: &TestCluster, since: u64) -> Result<BTreeSet<usize>> {
    let mut recovered = BTreeSet::new();
    for server in cluster.admin(0).servers().await? {
        let online = server.health_since_time.context("a server that was polled")?;
        let online_since_ms = u64::try_from(online.seconds * 1000 + i64::from(online.nanos / 1_000_000))?;
        if online_since_ms >= since {
            recovered.insert(number_of(&server.name)?);
        }
    }
    Ok(recovered)
}

/// Waits until no server is unhealthy, no zombie is left, and every running meeting has its record.
async fn at_rest(cluster: &TestCluster) -> Result<()> {
    wait::until_within(
        Duration::from_mins(1),
        "every server to be online and no zombie to be left",
        || async {
            for number in 0..cluster.control_planes.len() {
                let admin = cluster.admin(number);
                let status = admin.status().await?;
                ensure!(status.zombies == 0, "{} zombies", status.zombies);
                for server in admin.servers().await? {
                    ensure!(server.health() == Health::Online, "{}: {}", server.name, server.health_reason);
                }
            }
            Ok(())
        },
    )
    .await?;
    cluster.is_level().await?;
    wait::until("every meeting to be on one server, with its record", || records_match(cluster)).await
}

/// Checks I1 and I4: each running meeting has a record for its server, and runs on no other server.
async fn records_match(cluster: &TestCluster) -> Result<()> {
    let mut records: BTreeMap<String, usize> = BTreeMap::new();
    for meeting in cluster.admin(0).meetings().await? {
        records.insert(meeting.meeting_id, number_of(&meeting.server)?);
    }
    let mut running = BTreeMap::new();
    for (number, sim) in cluster.sims.iter().enumerate() {
        for meeting in sim.meetings().into_iter().filter(|meeting| !meeting.ending) {
            let other = running.insert(meeting.meeting_id.clone(), number);
            ensure!(other.is_none(), "{} runs at {number} and {other:?}", meeting.meeting_id);
        }
    }
    for (id, server) in &running {
        let record = records.get(id);
        ensure!(record == Some(server), "{id} runs at {server}, its record says {record:?}");
    }
    for (id, server) in &records {
        ensure!(running.contains_key(id), "{id} has a record at {server} and runs nowhere");
    }
    Ok(())
}
