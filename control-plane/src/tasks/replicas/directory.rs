//! The replicas of the cluster, as each of them sees it: its own state, and the statements of the
//! others. A replica lives while its candidacy for the lead is kept alive, so that a statement needs
//! no lease and no heartbeat of its own (ADR 38).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use tokio::sync::watch;
use usher_runtime::clock;

use crate::{
    core::replicas::{AlarmStatement, BEHIND, EdgeStatement, MOST_LIBRARIES, ReplicaStatement},
    ops::alarms::RaisedAlarms,
    tasks::edges::ConnectedEdges,
};

/// Largest number of replicas that are remembered.
const MOST_REPLICAS: usize = 64;

/// A replica that lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveReplica {
    /// Its name.
    pub name: String,
    /// Whether it is the oldest candidate, which leads.
    pub leads: bool,
    /// Its statement; `None` until it has made one.
    pub statement: Option<ReplicaStatement>,
}

/// The state of this replica from which its statement is made.
#[derive(Debug, Clone)]
pub struct OwnReplica {
    /// Its name.
    pub name: String,
    /// The edges that are connected to it.
    pub edges: ConnectedEdges,
    /// The alarms that it raises.
    pub alarms: RaisedAlarms,
    /// Its start: wall clock in milliseconds since 1970, and the same moment on the steady clock.
    pub started: (i64, Instant),
}

impl OwnReplica {
    /// Returns the wall clock of a moment, derived from the start, so that it never varies.
    pub fn wall_ms(&self, at: Instant) -> i64 {
        let (wall_ms, start) = self.started;
        let since = at.saturating_duration_since(start).as_millis();
        wall_ms.saturating_add(i64::try_from(since).unwrap_or(i64::MAX))
    }

    /// Returns the present statement.
    pub fn statement(&self, now: Instant) -> ReplicaStatement {
        let edges = self.edges.list().into_iter().map(|edge| EdgeStatement {
            connected_ms: self.wall_ms(edge.connected_at),
            behind_since_ms: edge
                .behind_since
                .filter(|since| now.saturating_duration_since(*since) > BEHIND)
                .map(|since| self.wall_ms(since)),
            id: edge.id,
            address: edge.address,
            version: edge.version,
        });
        let alarms = self.alarms.raised().into_iter();
        let alarms = alarms.map(|(alarm, detail)| AlarmStatement { name: alarm.name().to_owned(), detail });
        let statement = ReplicaStatement {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_ms: self.started.0,
            edges: edges.collect(),
            more_edges: 0,
            alarms: alarms.collect(),
            libraries: self.edges.libraries(),
        };
        statement.bounded()
    }
}

/// The replicas of the cluster; clones share the state.
#[derive(Debug, Clone)]
pub struct ReplicaDirectory {
    own: OwnReplica,
    known: Arc<Mutex<KnownReplicas>>,
    changes: watch::Sender<u64>,
    libraries: watch::Sender<Vec<String>>,
}

/// The statements of all replicas in the store.
#[derive(Debug, Default)]
pub(super) struct KnownReplicas {
    /// Revision and name of each candidate, by key; the one of the smallest revision leads.
    pub(super) candidates: BTreeMap<String, (u64, String)>,
    /// Statements by name.
    pub(super) statements: BTreeMap<String, ReplicaStatement>,
}

impl ReplicaDirectory {
    /// Returns a directory that knows only this replica.
    pub fn new(own: OwnReplica) -> Self {
        let (changes, libraries) = (watch::Sender::new(0), watch::Sender::new(Vec::new()));
        Self { own, known: Arc::default(), changes, libraries }
    }

    /// Returns this replica.
    pub fn own(&self) -> &OwnReplica {
        &self.own
    }

    /// Returns the replicas that live, in the order of their names. This one is always among them,
    /// with its present state.
    pub fn list(&self) -> Vec<LiveReplica> {
        let now = clock::now();
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let leader = known.candidates.values().min().map(|(_, name)| name);
        let mut live: BTreeMap<&str, LiveReplica> = BTreeMap::new();
        for name in known.candidates.values().map(|(_, name)| name).chain([&self.own.name]) {
            let statement = if *name == self.own.name {
                Some(self.own.statement(now))
            } else {
                known.statements.get(name).cloned()
            };
            let leads = leader == Some(name);
            live.insert(name, LiveReplica { name: name.clone(), leads, statement });
        }
        live.into_values().collect()
    }

    /// Returns the other replicas that live and have made a statement.
    pub fn others(&self) -> Vec<LiveReplica> {
        let all = self.list().into_iter();
        all.filter(|replica| replica.name != self.own.name && replica.statement.is_some()).collect()
    }

    /// Returns a receiver that wakes when another replica came, went or made a statement.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// Returns a receiver of the addresses of all recordings libraries, at most [`MOST_LIBRARIES`].
    pub fn libraries(&self) -> watch::Receiver<Vec<String>> {
        self.libraries.subscribe()
    }

    /// Collects the recordings libraries of all replicas for the receivers.
    pub(super) fn collect_libraries(&self) {
        let statements = self.list().into_iter().filter_map(|replica| replica.statement);
        let all: BTreeSet<String> = statements.flat_map(|statement| statement.libraries).collect();
        let all: Vec<String> = all.into_iter().take(MOST_LIBRARIES).collect();
        self.libraries.send_if_modified(|known| {
            let is_other = *known != all;
            *known = all;
            is_other
        });
    }

    /// Changes the known state, within its bounds, and wakes the receivers.
    pub(super) fn change(&self, change: impl FnOnce(&mut KnownReplicas)) {
        {
            let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
            change(&mut known);
            while known.statements.len() > MOST_REPLICAS {
                known.statements.pop_first();
            }
            while known.candidates.len() > MOST_REPLICAS {
                known.candidates.pop_last();
            }
        }
        self.changes.send_modify(|version| *version = version.wrapping_add(1));
    }
}
