//! The scenario of requirements A6 with the real code: days of ordinary work on twenty servers, one
//! of which is unreachable now and then; a tenth of the `end` calls fail, and answers can be lost.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};
use usher_model::settings::Settings;

use crate::{
    applications::ApplicationsLoad,
    cluster::{ClusterShape, SimCluster},
    history::watch,
    network::{LinkQuality, SimNode},
    servers::{MeetingHabits, ServerMode},
};

const SERVERS: usize = 20;

fn shape() -> ClusterShape {
    let secret = usher_bbb::secret::Secret::new("tenant");
    ClusterShape {
        replicas: 2,
        servers: SERVERS,
        edges: 2,
        settings: Settings { secrets: vec![secret], ..Settings::default() },
        habits: MeetingHabits { lifetime: Duration::from_mins(20), failing_ends: 100 },
        sabotage: None,
        trace: 20_000,
    }
}

/// Runs the scenario for this number of hours.
pub(crate) async fn run(seed: u64, hours: f64) -> Arc<SimCluster> {
    let cluster = SimCluster::start(shape(), seed).await;
    // Three poll intervals and the duration of a create: a meeting that is unknown for longer has
    // leaked.
    let looks = tokio::spawn(watch(cluster.clone(), Duration::from_secs(2), Duration::from_mins(1)));
    let lossy = LinkQuality { lost_answers: 2, lost_requests: 1, late: 1, ..LinkQuality::good(2, 30) };
    for server in 0..SERVERS {
        for edge in 0..cluster.shape.edges {
            cluster.net.degrade(SimNode::Edge(edge), SimNode::Server(server), Some(lossy));
        }
        for replica in 0..cluster.shape.replicas {
            cluster.net.degrade(SimNode::Replica(replica), SimNode::Server(server), Some(lossy));
        }
    }
    let until = Instant::now() + Duration::from_secs_f64(hours * 3600.0);
    // 65,000 meetings in three days are one in four seconds; the ids are used again, some of them
    // while their meeting runs.
    let load =
        ApplicationsLoad { ids: 1200, every: Duration::from_millis(1700), mix: [10, 6, 1], supersede: 0 };
    let applications = tokio::spawn(cluster.clone().applications(load, until));
    // In a short run outages are more frequent, so that some occur.
    let every = Duration::from_secs_f64((hours * 3600.0).min(7200.0));
    let outages: Vec<_> =
        (0..SERVERS).map(|server| tokio::spawn(outages(cluster.clone(), server, every, until))).collect();
    let compaction = tokio::spawn(compaction(cluster.clone()));
    drop(applications.await);
    for outage in outages {
        drop(outage.await);
    }
    sleep(Duration::from_mins(2)).await;
    cluster.until_rest(Duration::from_mins(30)).await;
    looks.abort();
    compaction.abort();
    cluster
}

/// Compacts as etcd does automatically: five minutes of history are kept.
async fn compaction(cluster: Arc<SimCluster>) {
    loop {
        let before = cluster.store.revision();
        sleep(Duration::from_mins(5)).await;
        let now = cluster.store.revision();
        cluster.store.compact(now - before);
    }
}

/// Makes a server unreachable for some minutes, once in several hours; its meetings run on.
async fn outages(cluster: Arc<SimCluster>, server: usize, every: Duration, until: Instant) {
    loop {
        sleep(cluster.chance.until_next(every)).await;
        if Instant::now() >= until {
            return;
        }
        let lasts = cluster.chance.between(Duration::from_secs(5), Duration::from_mins(6));
        let mode = *cluster.chance.one_of(&[ServerMode::Refuses, ServerMode::Hangs, ServerMode::Errs]);
        cluster.witness.note(&format!("! b{server}: {mode:?} for {lasts:?}"));
        cluster.servers.set_mode(server, mode);
        sleep(lasts).await;
        cluster.servers.set_mode(server, ServerMode::Well);
    }
}
