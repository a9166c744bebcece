//! Faults: each is drawn at random, lasts for a while, and is healed.

mod hostile;
mod operators;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    cluster::SimCluster,
    network::{LinkQuality, SimNode},
    servers::ServerMode,
};

/// The kinds of faults.
#[derive(Debug, Clone, Copy)]
enum ClusterFault {
    ReplicaFromStore,
    ReplicaFromServers,
    EdgeFromReplicas,
    EdgeFromServers,
    ReplicaStandsStill,
    ReplicaCrashes,
    ReplicaStops,
    LossyLinks,
    SlowWatch,
    Server,
    ServerRestarts,
    ServerFlaps,
    ClockJumps,
    Compaction,
    Operators,
    ListedTwice,
    EdgeCrashes,
    StoreAndReplicas,
    HostileEdge,
    StartsWithWrongClock,
}

const FAULTS: [ClusterFault; 23] = [
    ClusterFault::ReplicaFromStore,
    ClusterFault::ReplicaFromServers,
    ClusterFault::EdgeFromReplicas,
    ClusterFault::EdgeFromServers,
    ClusterFault::ReplicaStandsStill,
    ClusterFault::ReplicaStandsStill,
    ClusterFault::ReplicaCrashes,
    ClusterFault::ReplicaStops,
    ClusterFault::LossyLinks,
    ClusterFault::LossyLinks,
    ClusterFault::SlowWatch,
    ClusterFault::Server,
    ClusterFault::Server,
    ClusterFault::ServerRestarts,
    ClusterFault::ServerFlaps,
    ClusterFault::ClockJumps,
    ClusterFault::Compaction,
    ClusterFault::Operators,
    ClusterFault::ListedTwice,
    ClusterFault::EdgeCrashes,
    ClusterFault::StoreAndReplicas,
    ClusterFault::HostileEdge,
    ClusterFault::StartsWithWrongClock,
];

/// The frequency and the duration of faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct FaultPlan {
    /// The mean time between two faults.
    pub(crate) every: Duration,
    /// The shortest and the longest duration of a fault.
    pub(crate) lasts: (Duration, Duration),
}

/// Returns the indexes of one, several or all of `count` parts.
fn some(cluster: &SimCluster, count: usize) -> Vec<usize> {
    match cluster.chance.below(4) {
        0 => (0..count).collect(),
        1 => (0..count).filter(|_| cluster.chance.happens(500)).collect(),
        _ => vec![cluster.chance.below(count as u64) as usize],
    }
}

impl SimCluster {
    /// Causes faults until `until`, and returns when all of them are healed.
    pub(crate) async fn fault_plan(self: Arc<Self>, fault_plan: FaultPlan, until: Instant) {
        let mut faults = JoinSet::new();
        loop {
            sleep(self.chance.until_next(fault_plan.every)).await;
            if Instant::now() >= until {
                break;
            }
            let fault = *self.chance.one_of(&FAULTS);
            let lasts = self.chance.between(fault_plan.lasts.0, fault_plan.lasts.1);
            let cluster = self.clone();
            faults.spawn(async move { cluster.cause(fault, lasts).await });
        }
        while faults.join_next().await.is_some() {}
    }

    async fn cause(self: Arc<Self>, fault: ClusterFault, lasts: Duration) {
        let replica = self.chance.below(self.replicas.len() as u64) as usize;
        let edge = self.chance.below(self.shape.edges as u64) as usize;
        let server = self.chance.below(self.servers.count() as u64) as usize;
        let replicas = SimNode::Replica(replica);
        match fault {
            ClusterFault::ReplicaFromStore => self.cut(vec![(replicas, SimNode::Store)], lasts).await,
            ClusterFault::ReplicaFromServers => {
                let servers = some(&self, self.servers.count());
                self.cut(servers.into_iter().map(|at| (replicas, SimNode::Server(at))).collect(), lasts)
                    .await;
            }
            ClusterFault::EdgeFromReplicas => {
                let all = some(&self, self.replicas.len());
                self.cut(
                    all.into_iter().map(|at| (SimNode::Edge(edge), SimNode::Replica(at))).collect(),
                    lasts,
                )
                .await;
            }
            ClusterFault::EdgeFromServers => {
                let all = some(&self, self.servers.count());
                self.cut(
                    all.into_iter().map(|at| (SimNode::Edge(edge), SimNode::Server(at))).collect(),
                    lasts,
                )
                .await;
            }
            ClusterFault::StoreAndReplicas => {
                let all = 0..self.replicas.len();
                self.cut(all.map(|at| (SimNode::Store, SimNode::Replica(at))).collect(), lasts / 2).await;
            }
            ClusterFault::ReplicaStandsStill => {
                let at = self.leader().filter(|_| self.chance.happens(700)).unwrap_or(replica);
                self.witness.note(&format!("! r{at} is frozen for {lasts:?}"));
                self.net.freeze(SimNode::Replica(at));
                sleep(lasts / 2).await;
                self.net.thaw(SimNode::Replica(at));
                self.witness.note(&format!("! r{at} goes on"));
            }
            ClusterFault::ReplicaCrashes => {
                self.witness.note(&format!("! r{replica} crashes"));
                self.replicas[replica].crash();
                sleep(lasts / 2).await;
                self.replicas[replica].start();
                self.witness.note(&format!("! r{replica} starts"));
            }
            ClusterFault::ReplicaStops => {
                self.witness.note(&format!("! r{replica} stops in order"));
                self.replicas[replica].stop();
                sleep(lasts / 4).await;
                self.replicas[replica].start();
                self.witness.note(&format!("! r{replica} starts"));
            }
            ClusterFault::HostileEdge => self.claims_a_past(lasts).await,
            ClusterFault::StartsWithWrongClock => {
                let hours = self.chance.below(97) as i64 - 48;
                self.witness.note(&format!("! r{replica} crashes, to start with a clock {hours} h ahead"));
                self.replicas[replica].crash();
                self.replicas[replica].wall.set_ahead(hours * 3_600_000);
                sleep(lasts / 4).await;
                self.replicas[replica].start();
                self.witness.note(&format!("! r{replica} starts"));
                sleep(lasts).await;
                self.replicas[replica].wall.set_ahead(0);
            }
            ClusterFault::LossyLinks => self.lossy(edge, replica, lasts).await,
            ClusterFault::SlowWatch => {
                let slow = LinkQuality {
                    delay: (Duration::from_millis(300), Duration::from_millis(2500)),
                    ..LinkQuality::good(0, 0)
                };
                self.worse(vec![(SimNode::Store, replicas)], slow, lasts).await;
            }
            ClusterFault::Server => {
                let slow = ServerMode::Slow(self.chance.between(Duration::from_millis(500), lasts / 3));
                let mode =
                    *self.chance.one_of(&[ServerMode::Refuses, ServerMode::Hangs, slow, ServerMode::Errs]);
                self.behaves(server, mode, lasts).await;
            }
            ClusterFault::ServerRestarts => {
                self.witness.note(&format!("! b{server} restarts"));
                self.servers.set_mode(server, ServerMode::Refuses);
                self.servers.restart(server);
                sleep(lasts / 4).await;
                self.servers.set_mode(server, ServerMode::Well);
            }
            ClusterFault::ServerFlaps => {
                let until = Instant::now() + lasts * 2;
                while Instant::now() < until {
                    let wrong = self.chance.between(Duration::from_millis(500), lasts / 6);
                    self.behaves(server, ServerMode::Refuses, wrong).await;
                    sleep(self.chance.between(Duration::from_millis(500), lasts / 3)).await;
                }
            }
            ClusterFault::ClockJumps => {
                let hours = self.chance.below(97) as i64 - 48;
                self.witness.note(&format!("! the clock of r{replica} jumps by {hours} h"));
                self.replicas[replica].wall.set_ahead(hours * 3_600_000);
                sleep(lasts).await;
                self.replicas[replica].wall.set_ahead(0);
            }
            ClusterFault::Compaction => {
                self.witness.note("! the store forgets its history");
                self.store.compact(self.chance.below(20));
            }
            ClusterFault::Operators => self.operate(server, lasts).await,
            ClusterFault::ListedTwice => self.list_twice(server, lasts * 2).await,
            ClusterFault::EdgeCrashes => {
                self.witness.note(&format!("! e{edge} crashes, another starts"));
                self.replace_edge(edge);
            }
        }
    }

    async fn cut(&self, links: Vec<(SimNode, SimNode)>, lasts: Duration) {
        self.witness.note(&format!("! cut for {lasts:?}: {links:?}"));
        for (one, other) in &links {
            self.net.cut(*one, *other);
        }
        sleep(lasts).await;
        for (one, other) in &links {
            self.net.mend(*one, *other);
        }
        self.witness.note(&format!("! mended: {links:?}"));
    }

    async fn worse(&self, links: Vec<(SimNode, SimNode)>, quality: LinkQuality, lasts: Duration) {
        self.witness.note(&format!("! bad for {lasts:?}: {links:?}"));
        for (one, other) in &links {
            self.net.degrade(*one, *other, Some(quality));
        }
        sleep(lasts).await;
        for (one, other) in &links {
            self.net.degrade(*one, *other, None);
        }
    }

    async fn lossy(&self, edge: usize, replica: usize, lasts: Duration) {
        let (edge, replica) = (SimNode::Edge(edge), SimNode::Replica(replica));
        let servers = (0..self.servers.count()).map(SimNode::Server);
        let links: Vec<(SimNode, SimNode)> = match self.chance.below(4) {
            0 => servers.map(|server| (edge, server)).collect(),
            1 => servers.map(|server| (replica, server)).collect(),
            2 => vec![(replica, SimNode::Store)],
            _ => (0..self.replicas.len()).map(|at| (edge, SimNode::Replica(at))).collect(),
        };
        let quality =
            LinkQuality { lost_requests: 100, lost_answers: 200, late: 150, ..LinkQuality::good(2, 400) };
        self.worse(links, quality, lasts).await;
    }

    async fn behaves(&self, server: usize, mode: ServerMode, lasts: Duration) {
        self.witness.note(&format!("! b{server}: {mode:?} for {lasts:?}"));
        self.servers.set_mode(server, mode);
        sleep(lasts).await;
        self.servers.set_mode(server, ServerMode::Well);
        self.witness.note(&format!("! b{server} works again"));
    }
}
