//! One history: a cluster, applications, faults, and rest.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use usher_model::{id::ServerId, settings::Settings};

use crate::{
    applications::ApplicationsLoad,
    broken_guarantee::BrokenGuarantee,
    chance::SeededChance,
    cluster::{ClusterShape, SimCluster},
    faults::FaultPlan,
    network::LATEST,
    servers::{MeetingHabits, index_of},
};

/// The interval in which the checker inspects the running meetings.
const LOOK: Duration = Duration::from_millis(500);

/// Returns settings with which a history takes a fifth of the time of the defaults.
fn quick() -> Settings {
    let mut settings = Settings::default();
    let seconds = Duration::from_secs;
    (settings.leader.ttl, settings.store.timeout) = (seconds(3), seconds(2));
    settings.store.compact_every = seconds(10);
    let health = &mut settings.health;
    (health.interval, health.deadline) = (seconds(2), seconds(1));
    (health.unhealthy_after, health.mass_hold) = (seconds(12), seconds(30));
    (settings.placement.slow_start, settings.placement.max_inflight_creates) = (seconds(5), 8);
    (settings.meetings.create_timeout, settings.meetings.call_timeout) = (seconds(6), seconds(3));
    settings.secrets = vec![usher_bbb::secret::Secret::new("tenant")];
    settings
}

fn shape(seed: u64, sabotage: Option<BrokenGuarantee>) -> ClusterShape {
    let chance = SeededChance::new(seed ^ 0x5eed);
    ClusterShape {
        replicas: 2 + chance.below(2) as usize,
        servers: 3 + chance.below(3) as usize,
        edges: 2 + chance.below(2) as usize,
        settings: quick(),
        habits: MeetingHabits { lifetime: Duration::from_mins(1), failing_ends: 200 },
        sabotage,
        trace: 200_000,
    }
}

/// Runs the history of a seed; the witness has its results.
pub(crate) async fn run(seed: u64, sabotage: Option<BrokenGuarantee>) -> Arc<SimCluster> {
    let cluster = SimCluster::start(shape(seed, sabotage), seed).await;
    let looks = tokio::spawn(watch(cluster.clone(), LOOK, Duration::from_secs(20)));
    let until = Instant::now() + cluster.chance.between(Duration::from_mins(1), Duration::from_secs(150));
    let load =
        ApplicationsLoad { ids: 12, every: Duration::from_millis(250), mix: [14, 6, 1], supersede: 50 };
    let fault_plan = FaultPlan {
        every: Duration::from_millis(2500),
        lasts: (Duration::from_secs(1), Duration::from_secs(30)),
    };
    let applications = tokio::spawn(cluster.clone().applications(load, until));
    let hostile = tokio::spawn(cluster.clone().hostile_tenant(until));
    let loses_store = seed.is_multiple_of(6);
    // Without a loss of the store: the rebuild after it waits until the resources of the tools are
    // added again, and the tools add none again.
    let tools = (!loses_store).then(|| tokio::spawn(cluster.clone().tools(until)));
    if loses_store {
        // Alone: with an unreachable server, a meeting could be split without an end.
        sleep(cluster.chance.between(Duration::from_secs(5), Duration::from_secs(40))).await;
        cluster.lose_the_store().await;
    } else {
        cluster.clone().fault_plan(fault_plan, until).await;
    }
    drop((applications.await, hostile.await));
    if let Some(tools) = tools {
        tools.await.expect("every tool has an answer");
    }
    // Requests in transit arrive, or time out.
    sleep(LATEST).await;
    cluster.enable_all().await;
    // A flapping server needs up to 24 polls to become online, after its last change has aged.
    if cluster.until_rest(Duration::from_mins(4)).await {
        cluster.every_client_is_served().await;
    }
    looks.abort();
    cluster
}

/// Runs a history without faults, with a hostile tenant among the applications.
pub(crate) async fn run_undisturbed(seed: u64) -> Arc<SimCluster> {
    let cluster = SimCluster::start(shape(seed, None), seed).await;
    // Failures of the start no longer count.
    sleep(Duration::from_mins(2)).await;
    let until = Instant::now() + Duration::from_mins(3);
    let load = ApplicationsLoad { ids: 12, every: Duration::from_millis(250), mix: [14, 6, 1], supersede: 0 };
    let applications = tokio::spawn(cluster.clone().applications(load, until));
    cluster.clone().hostile_tenant(until).await;
    drop(applications.await);
    cluster.until_rest(Duration::from_mins(4)).await;
    cluster
}

/// Makes the checker inspect the running meetings at this interval, until it is stopped. A meeting
/// that is unknown for longer than `grace` has leaked.
pub(crate) async fn watch(cluster: Arc<SimCluster>, every: Duration, grace: Duration) {
    loop {
        sleep(every).await;
        let reachable: Vec<bool> =
            (0..cluster.shape.servers).map(|index| cluster.is_reachable(index)).collect();
        let is_reachable = |server: &ServerId| reachable[index_of(server)]; // with any entry of the server
        cluster.witness.checker().look(every, grace, is_reachable);
    }
}
