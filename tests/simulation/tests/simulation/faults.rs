//! Faults: each is drawn at random, lasts for a while, and is healed.

mod hostile;
mod operators;

use std::{sync::Arc, time::Duration};

use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    cluster::Cluster,
    network::{Node, Quality},
    servers::Mode,
};

/// The kinds of faults.
#[derive(Debug, Clone, Copy)]
enum Fault {
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

const FAULTS: [Fault; 23] = [
    Fault::ReplicaFromStore,
    Fault::ReplicaFromServers,
    Fault::EdgeFromReplicas,
    Fault::EdgeFromServers,
    Fault::ReplicaStandsStill,
    Fault::ReplicaStandsStill,
    Fault::ReplicaCrashes,
    Fault::ReplicaStops,
    Fault::LossyLinks,
    Fault::LossyLinks,
    Fault::SlowWatch,
    Fault::Server,
    Fault::Server,
    Fault::ServerRestarts,
    Fault::ServerFlaps,
    Fault::ClockJumps,
    Fault::Compaction,
    Fault::Operators,
    Fault::ListedTwice,
    Fault::EdgeCrashes,
    Fault::StoreAndReplicas,
    Fault::HostileEdge,
    Fault::StartsWithWrongClock,
];

/// The frequency and the duration of faults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    /// The mean time between two faults.
    pub(crate) every: Duration,
    /// The shortest and the longest duration of a fault.
    pub(crate) lasts: (Duration, Duration),
}

/// Returns the indexes of one, several or all of `count` parts.
fn some(cluster: &Cluster, count: usize) -> Vec<usize> {
    match cluster.chance.below(4) {
        0 => (0..count).collect(),
        1 => (0..count).filter(|_| cluster.chance.happens(500)).collect(),
        _ => vec![cluster.chance.below(count as u64) as usize],
    }
}

impl Cluster {
    /// Causes faults until `until`, and returns when all of them are healed.
    pub(crate) async fn trouble(self: Arc<Self>, trouble: Trouble, until: Instant) {
        let mut faults = JoinSet::new();
        loop {
            sleep(self.chance.until_next(trouble.every)).await;
            if Instant::now() >= until {
                break;
            }
            let fault = *self.chance.one_of(&FAULTS);
            let lasts = self.chance.between(trouble.lasts.0, trouble.lasts.1);
            let cluster = self.clone();
            faults.spawn(async move { cluster.go_wrong(fault, lasts).await });
        }
        while faults.join_next().await.is_some() {}
    }

    async fn go_wrong(self: Arc<Self>, fault: Fault, lasts: Duration) {
        let replica = self.chance.below(self.replicas.len() as u64) as usize;
        let edge = self.chance.below(self.shape.edges as u64) as usize;
        let server = self.chance.below(self.servers.count() as u64) as usize;
        let replicas = Node::Replica(replica);
        match fault {
            Fault::ReplicaFromStore => self.cut(vec![(replicas, Node::Store)], lasts).await,
            Fault::ReplicaFromServers => {
                let servers = some(&self, self.servers.count());
                self.cut(servers.into_iter().map(|at| (replicas, Node::Server(at))).collect(), lasts).await;
            }
            Fault::EdgeFromReplicas => {
                let all = some(&self, self.replicas.len());
                self.cut(all.into_iter().map(|at| (Node::Edge(edge), Node::Replica(at))).collect(), lasts)
                    .await;
            }
            Fault::EdgeFromServers => {
                let all = some(&self, self.servers.count());
                self.cut(all.into_iter().map(|at| (Node::Edge(edge), Node::Server(at))).collect(), lasts)
                    .await;
            }
            Fault::StoreAndReplicas => {
                let all = 0..self.replicas.len();
                self.cut(all.map(|at| (Node::Store, Node::Replica(at))).collect(), lasts / 2).await;
            }
            Fault::ReplicaStandsStill => {
                let at = self.leader().filter(|_| self.chance.happens(700)).unwrap_or(replica);
                self.witness.note(&format!("! r{at} is frozen for {lasts:?}"));
                self.net.freeze(Node::Replica(at));
                sleep(lasts / 2).await;
                self.net.thaw(Node::Replica(at));
                self.witness.note(&format!("! r{at} goes on"));
            }
            Fault::ReplicaCrashes => {
                self.witness.note(&format!("! r{replica} crashes"));
                self.replicas[replica].crash();
                sleep(lasts / 2).await;
                self.replicas[replica].start();
                self.witness.note(&format!("! r{replica} starts"));
            }
            Fault::ReplicaStops => {
                self.witness.note(&format!("! r{replica} stops in order"));
                self.replicas[replica].stop();
                sleep(lasts / 4).await;
                self.replicas[replica].start();
                self.witness.note(&format!("! r{replica} starts"));
            }
            Fault::HostileEdge => self.claims_a_past(lasts).await,
            Fault::StartsWithWrongClock => {
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
            Fault::LossyLinks => self.lossy(edge, replica, lasts).await,
            Fault::SlowWatch => {
                let slow = Quality {
                    delay: (Duration::from_millis(300), Duration::from_millis(2500)),
                    ..Quality::good(0, 0)
                };
                self.worse(vec![(Node::Store, replicas)], slow, lasts).await;
            }
            Fault::Server => {
                let slow = Mode::Slow(self.chance.between(Duration::from_millis(500), lasts / 3));
                let mode = *self.chance.one_of(&[Mode::Refuses, Mode::Hangs, slow, Mode::Errs]);
                self.behaves(server, mode, lasts).await;
            }
            Fault::ServerRestarts => {
                self.witness.note(&format!("! b{server} restarts"));
                self.servers.set_mode(server, Mode::Refuses);
                self.servers.restart(server);
                sleep(lasts / 4).await;
                self.servers.set_mode(server, Mode::Well);
            }
            Fault::ServerFlaps => {
                let until = Instant::now() + lasts * 2;
                while Instant::now() < until {
                    let wrong = self.chance.between(Duration::from_millis(500), lasts / 6);
                    self.behaves(server, Mode::Refuses, wrong).await;
                    sleep(self.chance.between(Duration::from_millis(500), lasts / 3)).await;
                }
            }
            Fault::ClockJumps => {
                let hours = self.chance.below(97) as i64 - 48;
                self.witness.note(&format!("! the clock of r{replica} jumps by {hours} h"));
                self.replicas[replica].wall.set_ahead(hours * 3_600_000);
                sleep(lasts).await;
                self.replicas[replica].wall.set_ahead(0);
            }
            Fault::Compaction => {
                self.witness.note("! the store forgets its history");
                self.store.compact(self.chance.below(20));
            }
            Fault::Operators => self.operate(server, lasts).await,
            Fault::ListedTwice => self.list_twice(server, lasts * 2).await,
            Fault::EdgeCrashes => {
                self.witness.note(&format!("! e{edge} crashes, another starts"));
                self.replace_edge(edge);
            }
        }
    }

    async fn cut(&self, links: Vec<(Node, Node)>, lasts: Duration) {
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

    async fn worse(&self, links: Vec<(Node, Node)>, quality: Quality, lasts: Duration) {
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
        let (edge, replica) = (Node::Edge(edge), Node::Replica(replica));
        let servers = (0..self.servers.count()).map(Node::Server);
        let links: Vec<(Node, Node)> = match self.chance.below(4) {
            0 => servers.map(|server| (edge, server)).collect(),
            1 => servers.map(|server| (replica, server)).collect(),
            2 => vec![(replica, Node::Store)],
            _ => (0..self.replicas.len()).map(|at| (edge, Node::Replica(at))).collect(),
        };
        let quality = Quality { lost_requests: 100, lost_answers: 200, late: 150, ..Quality::good(2, 400) };
        self.worse(links, quality, lasts).await;
    }

    async fn behaves(&self, server: usize, mode: Mode, lasts: Duration) {
        self.witness.note(&format!("! b{server}: {mode:?} for {lasts:?}"));
        self.servers.set_mode(server, mode);
        sleep(lasts).await;
        self.servers.set_mode(server, Mode::Well);
        self.witness.note(&format!("! b{server} works again"));
    }
}
