//! Simulated edges: the product's own table, intake of the routing stream and decisions; the
//! requests of applications are carried out by the same rules as in `edge-proxy/src/server`.

mod control_planes;
mod create;
mod end;
mod join;
mod stream;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicUsize},
    time::Duration,
};

use tokio::time::Instant;
use usher_bbb::call::ApiCall;
use usher_edge_proxy::{
    control::current_table::CurrentTable,
    core::{
        evidence::CallLedger,
        route::{KnownMeeting, RoutingDecision, decide},
    },
};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
    routing::{RouteState, ServerRoute},
    settings::Settings,
};

pub(crate) use self::join::JoinAnswer;
use crate::{
    chance::SeededChance,
    network::{NodeLife, SimNetwork, SimNode},
    replica::SimReplica,
    servers::SimServers,
    witness::HistoryWitness,
};

pub(crate) struct SimEdge {
    index: usize,
    pub(crate) life: NodeLife,
    pub(crate) current: Arc<CurrentTable>,
    net: Arc<SimNetwork>,
    replicas: Vec<Arc<SimReplica>>,
    servers: Arc<SimServers>,
    witness: Arc<HistoryWitness>,
    chance: SeededChance,
    /// The settings `meetings.create_timeout` and `meetings.call_timeout`.
    limits: (Duration, Duration),
    preferred: AtomicUsize,
    /// The last reports, by server and whether the connection failed.
    reported: Mutex<BTreeMap<(ServerId, bool), Instant>>,
    ledger: Mutex<CallLedger>,
}

/// The parts of the cluster that an edge uses.
#[derive(Clone)]
pub(crate) struct EdgeParts {
    pub(crate) settings: Settings,
    pub(crate) net: Arc<SimNetwork>,
    pub(crate) replicas: Vec<Arc<SimReplica>>,
    pub(crate) servers: Arc<SimServers>,
    pub(crate) witness: Arc<HistoryWitness>,
}

/// A meeting and its server, by the table of the edge or by a control plane.
#[derive(Debug, Clone)]
struct EdgeOwner {
    server: ServerRoute,
    state: RouteState,
    /// The token of the placement if the control plane reported it as not confirmed; else empty.
    token: String,
}

impl EdgeOwner {
    fn instance(&self) -> Option<InternalMeetingId> {
        match &self.state {
            RouteState::Active(instance) => Some(instance.clone()),
            RouteState::Pending => None,
        }
    }

    fn decision(&self, call: ApiCall) -> RoutingDecision {
        let confirmed = matches!(self.state, RouteState::Active(_));
        decide(call, Some(KnownMeeting { confirmed, admin: self.server.admin, health: self.server.health }))
    }
}

/// The result of a search for a meeting.
enum LocateResult {
    At(EdgeOwner),
    EndLater(EdgeOwner),
    Missing,
    Unreachable,
}

impl SimEdge {
    /// Starts an edge, which runs until its life ends.
    pub(crate) fn start(index: usize, parts: EdgeParts, chance: SeededChance) -> Arc<Self> {
        let EdgeParts { settings, net, replicas, servers, witness } = parts;
        let preferred = AtomicUsize::new(chance.below(replicas.len() as u64) as usize);
        let edge = Arc::new(Self {
            index,
            life: NodeLife::new(SimNode::Edge(index)),
            current: Arc::new(CurrentTable::default()),
            net,
            replicas,
            servers,
            witness,
            chance,
            limits: (settings.meetings.create_timeout, settings.meetings.call_timeout),
            preferred,
            reported: Mutex::default(),
            ledger: Mutex::default(),
        });
        let (subscribed, crashed) = (edge.clone(), edge.life.crashed.clone());
        tokio::spawn(async move {
            tokio::select! {
                biased;
                () = crashed.cancelled() => {}
                () = subscribed.subscribe() => {}
            }
        });
        edge
    }

    fn ledger(&self) -> MutexGuard<'_, CallLedger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn in_table(&self, key: &MeetingKey) -> Option<EdgeOwner> {
        let table = self.current.load_full()?;
        let tenants = table.tenants();
        let slot = tenants.by_id(key.tenant.as_str())?;
        slot.meetings.find(key.meeting.as_str(), |found| {
            if found.name != key.meeting.as_str() {
                return None; // the internal id of another meeting
            }
            let server = found.place.server.route();
            let server = ServerRoute::clone(server.as_ref()?);
            Some(EdgeOwner { server, state: found.state(), token: String::new() })
        })?
    }

    async fn locate(self: &Arc<Self>, call: ApiCall, key: &MeetingKey) -> LocateResult {
        let known = self.in_table(key);
        let known_enough = known.as_ref().filter(|owner| owner.decision(call) == RoutingDecision::Forward);
        if let Some(owner) = known_enough
            && (call != ApiCall::End || owner.instance().is_some())
        {
            return LocateResult::At(owner.clone());
        }
        let owner = match self.resolve(key).await {
            Ok(owner) => owner,
            Err(_) if known_enough.is_some() => known_enough.cloned(),
            // The table may be outdated, and an answer from it could be wrong.
            Err(_) => return LocateResult::Unreachable,
        };
        match owner {
            None => LocateResult::Missing,
            Some(owner) => match owner.decision(call) {
                RoutingDecision::Forward | RoutingDecision::ForwardIfRunning => LocateResult::At(owner),
                RoutingDecision::EndLater => LocateResult::EndLater(owner),
                RoutingDecision::Missing | RoutingDecision::Place => LocateResult::Missing,
            },
        }
    }
}
