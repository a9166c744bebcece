//! A complete cluster: a store, servers, replicas and edges, and the conditions that hold for all
//! of them together.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use usher_control_plane::core::policy::Policy;
use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    settings::Settings,
};
use usher_runtime::clock;

use crate::{
    broken_guarantee::BrokenGuarantee,
    chance::SeededChance,
    edge::{EdgeParts, SimEdge},
    network::{SimNetwork, SimNode},
    replica::{ReplicaParts, RunningReplica, SimReplica},
    servers::{MeetingHabits, ServerMode, SimServers, server_id},
    store::SimStore,
    wall_clock::SimWallClock,
    witness::HistoryWitness,
};

/// The size and the settings of a cluster.
#[derive(Debug, Clone)]
pub(crate) struct ClusterShape {
    pub(crate) replicas: usize,
    pub(crate) servers: usize,
    pub(crate) edges: usize,
    pub(crate) settings: Settings,
    pub(crate) habits: MeetingHabits,
    pub(crate) sabotage: Option<BrokenGuarantee>,
    /// The number of trace lines that are kept.
    pub(crate) trace: usize,
}

pub(crate) struct SimCluster {
    pub(crate) shape: ClusterShape,
    pub(crate) chance: SeededChance,
    pub(crate) net: Arc<SimNetwork>,
    pub(crate) store: Arc<SimStore>,
    pub(crate) servers: Arc<SimServers>,
    pub(crate) witness: Arc<HistoryWitness>,
    pub(crate) replicas: Vec<Arc<SimReplica>>,
    edges: Vec<Mutex<Arc<SimEdge>>>,
}

pub(crate) fn meeting(number: u64) -> MeetingKey {
    let id = MeetingId::parse(&format!("m{number}")).expect("is an id");
    MeetingKey::new(TenantId::default_tenant(), id)
}

impl SimCluster {
    /// Starts all parts and waits until the cluster serves: operators have added the servers, the
    /// servers are online, and edges have tables.
    pub(crate) async fn start(shape: ClusterShape, seed: u64) -> Arc<Self> {
        let witness = Arc::new(HistoryWitness::new(Policy::new(&shape.settings), shape.trace));
        let chance = |number: u64| SeededChance::new(seed.wrapping_mul(1000).wrapping_add(number));
        let net = Arc::new(SimNetwork::new(chance(1)));
        let store = SimStore::new(seed, witness.clone());
        let of_servers = SimWallClock::new();
        let servers =
            SimServers::new(shape.servers, net.clone(), chance(2), witness.clone(), of_servers, shape.habits);
        let ground = ReplicaParts {
            settings: shape.settings.clone(),
            net: net.clone(),
            store: store.clone(),
            servers: servers.clone(),
            witness: witness.clone(),
            sabotage: shape.sabotage,
        };
        let replicas: Vec<Arc<SimReplica>> =
            (0..shape.replicas).map(|index| Arc::new(SimReplica::new(index, ground.clone()))).collect();
        let cluster =
            Self { chance: chance(3), edges: Vec::new(), net, store, servers, witness, replicas, shape };
        let edges = (0..cluster.shape.edges).map(|index| Mutex::new(cluster.new_edge(index))).collect();
        let cluster = Arc::new(Self { edges, ..cluster });
        cluster.add_servers().await;
        cluster.until_rest(Duration::from_mins(5)).await;
        cluster
    }

    fn new_edge(&self, index: usize) -> Arc<SimEdge> {
        let parts = EdgeParts {
            settings: self.shape.settings.clone(),
            net: self.net.clone(),
            replicas: self.replicas.clone(),
            servers: self.servers.clone(),
            witness: self.witness.clone(),
        };
        SimEdge::start(index, parts, SeededChance::new(self.chance.below(u64::MAX)))
    }

    pub(crate) fn edge(&self, index: usize) -> Arc<SimEdge> {
        self.edges[index].lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn some_edge(&self) -> Arc<SimEdge> {
        self.edge(self.chance.below(self.edges.len() as u64) as usize)
    }

    /// Kills an edge and starts another in its place, without a table.
    pub(crate) fn replace_edge(&self, index: usize) {
        let new = self.new_edge(index);
        let mut place = self.edges[index].lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *place, new).life.crashed.cancel();
    }

    /// Returns the replicas that run.
    pub(crate) fn running(&self) -> Vec<Arc<RunningReplica>> {
        self.replicas.iter().filter_map(|replica| replica.running()).collect()
    }

    /// Returns the index of the replica that leads, by the state of the store.
    pub(crate) fn leader(&self) -> Option<usize> {
        let (leader, _) = self.store.leader()?;
        self.replicas
            .iter()
            .position(|replica| replica.running().is_some_and(|running| running.candidate == leader))
    }

    pub(crate) fn server_ids(&self) -> Vec<ServerId> {
        (0..self.servers.count()).map(server_id).collect()
    }

    /// Adds every server, as operators do at first and after a loss of the store.
    pub(crate) async fn add_servers(&self) {
        for index in 0..self.servers.count() {
            let server = SimServers::described(server_id(index));
            while !self.known(&server.id) {
                tokio::time::sleep(Duration::from_millis(100)).await;
                if let Some(running) =
                    self.running().into_iter().find(|running| running.engine.fleet.complete())
                {
                    let deadline = clock::now() + Duration::from_secs(5);
                    let _ = running.engine.admin.create_server(&server, deadline).await; // the loop repeats it
                }
            }
        }
    }

    pub(crate) fn known(&self, id: &ServerId) -> bool {
        !self.store.list(&format!("servers/{id}")).entries.is_empty()
    }

    /// Returns whether a server works and the leader can reach it.
    pub(crate) fn is_reachable(&self, index: usize) -> bool {
        let leader = self.leader().map(SimNode::Replica);
        self.servers.mode(index) == ServerMode::Well
            && leader.is_some_and(|leader| {
                !self.net.is_cut(leader, SimNode::Server(index)) && !self.net.is_frozen(leader)
            })
    }

    /// Waits until the cluster is at rest. If it is not at rest `within` that time, the witness
    /// records the reason as a violation.
    pub(crate) async fn until_rest(&self, within: Duration) -> bool {
        let until = tokio::time::Instant::now() + within;
        loop {
            tokio::time::sleep(Duration::from_millis(500)).await;
            match self.at_rest() {
                Ok(()) => return true,
                Err((meeting, text)) if tokio::time::Instant::now() > until => {
                    let text = format!("not at rest after {within:?}: {text}");
                    let kind = crate::witness::ViolationKind::Rest;
                    self.witness.checker().fail(kind, meeting.as_ref(), text);
                    return false;
                }
                Err(_) => {}
            }
        }
    }

    fn at_rest(&self) -> Result<(), (Option<MeetingKey>, String)> {
        let servers = self.server_ids();
        self.witness.checker().at_rest(&servers)?;
        let wrong = |text: String| Err((None, text));
        if self.leader().is_none() {
            return wrong("no replica leads".into());
        }
        let tables: Vec<_> = self
            .running()
            .iter()
            .map(|running| running.engine.fleet.read(|fleet| fleet.routing().digest()))
            .collect();
        if tables.len() != self.replicas.len() || tables.windows(2).any(|pair| pair[0] != pair[1]) {
            return wrong(format!("I9: tables of replicas differ: {tables:?}"));
        }
        for index in 0..self.edges.len() {
            let held = self.edge(index).current.load_full().map(|table| table.digest());
            if held.as_ref() != tables.first() {
                return wrong(format!("the table of e{index} is not that of the replicas"));
            }
        }
        Ok(())
    }
}
