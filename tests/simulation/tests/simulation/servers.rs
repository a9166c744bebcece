//! Simulated BBB servers, faithful where it matters here: meetings with internal ids, a create that
//! is idempotent while its meeting runs, lists as of the time when they were made, `end` by the
//! internal id, and every kind of failure to answer.

mod bbb;
mod port;

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::sleep;
use usher_model::{id::ServerId, meeting::MeetingKey, server::Server};

use self::bbb::SimBbb;
pub(crate) use self::{
    bbb::CreatedInstance,
    port::{NoServerHooks, ServersLink},
};
use crate::{
    chance::SeededChance,
    network::{LostCall, NodeLife, SimNetwork, SimNode},
    wall_clock::SimWallClock,
    witness::{EndCause, HistoryWitness},
};

/// The behaviour of a server to all callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerMode {
    Well,
    /// No process listens, so connections are refused.
    Refuses,
    /// Connections are accepted and get no answer.
    Hangs,
    /// Answers are late by this much.
    Slow(Duration),
    /// Answers are malformed, although the call may have been carried out.
    Errs,
}

/// The failure of a call, from the caller's view.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SimCallError {
    NotSent,
    Silent,
    Broken,
    /// HTTP 5xx, HTML, or a cut answer.
    BadAnswer,
}

/// The use of meetings, and the reliability of `end`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MeetingHabits {
    /// The mean time after which a meeting ends without a call.
    pub(crate) lifetime: Duration,
    /// `end` calls that fail, in a thousand.
    pub(crate) failing_ends: u32,
}

struct ServerPlace {
    bbb: Mutex<SimBbb>,
    life: Mutex<NodeLife>,
}

pub(crate) struct SimServers {
    places: Vec<ServerPlace>,
    net: Arc<SimNetwork>,
    chance: SeededChance,
    witness: Arc<HistoryWitness>,
    wall: SimWallClock,
    habits: MeetingHabits,
}

pub(crate) fn server_id(index: usize) -> ServerId {
    ServerId::parse(&format!("b{index}")).expect("is an id")
}

/// Returns the second entry under which an operator adds a server.
pub(crate) fn second_entry(index: usize) -> ServerId {
    ServerId::parse(&format!("{}{SECOND}", server_id(index))).expect("is an id")
}

pub(crate) fn index_of(id: &ServerId) -> usize {
    id.as_str()[1..].trim_end_matches(SECOND).parse().expect("named by `server_id` or `second_entry`")
}

/// Returns the id by which instances name the server of an entry.
pub(crate) fn home(id: &ServerId) -> ServerId {
    server_id(index_of(id))
}

/// The end of the ids of second entries.
const SECOND: &str = "-again";

impl SimServers {
    pub(crate) fn new(
        count: usize,
        net: Arc<SimNetwork>,
        chance: SeededChance,
        witness: Arc<HistoryWitness>,
        wall: SimWallClock,
        habits: MeetingHabits,
    ) -> Arc<Self> {
        let place = |index| ServerPlace {
            bbb: Mutex::new(SimBbb::new(index)),
            life: Mutex::new(NodeLife::new(SimNode::Server(index))),
        };
        let places = (0..count).map(place).collect();
        Arc::new(Self { places, net, chance, witness, wall, habits })
    }

    pub(crate) fn count(&self) -> usize {
        self.places.len()
    }

    fn bbb(&self, index: usize) -> MutexGuard<'_, SimBbb> {
        self.places[index].bbb.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn life(&self, index: usize) -> NodeLife {
        self.places[index].life.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_mode(&self, index: usize, mode: ServerMode) {
        self.bbb(index).mode = mode;
    }

    pub(crate) fn mode(&self, index: usize) -> ServerMode {
        self.bbb(index).mode
    }

    /// Restarts a server: its meetings are lost, and running calls are cut.
    pub(crate) fn restart(&self, index: usize) {
        let old = {
            let mut life = self.places[index].life.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *life, NodeLife::new(SimNode::Server(index)))
        };
        old.crashed.cancel();
        for internal in self.bbb(index).clear() {
            self.witness.instance_ended(&internal, &EndCause::Crash);
        }
    }

    /// Makes a call to a server, which carries out `act`.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        from: &NodeLife,
        index: usize,
        patience: Duration,
        act: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> Result<T, SimCallError> {
        let answer = self.answer(from, index, patience, act).await;
        if answer.is_err() {
            self.witness.call_failed(&server_id(index));
        }
        answer
    }

    async fn answer<T: Send + 'static>(
        self: &Arc<Self>,
        from: &NodeLife,
        index: usize,
        patience: Duration,
        act: impl FnOnce(&Arc<Self>) -> T + Send + 'static,
    ) -> Result<T, SimCallError> {
        if self.mode(index) == ServerMode::Refuses {
            sleep(self.net.one_way(from.node, SimNode::Server(index)).min(patience)).await;
            return Err(SimCallError::NotSent);
        }
        let servers = self.clone();
        let serve = async move {
            match servers.mode(index) {
                ServerMode::Well => Some(act(&servers)),
                ServerMode::Slow(time) => {
                    let first = servers.chance.happens(500);
                    if first {
                        sleep(time).await;
                    }
                    let answer = act(&servers);
                    if !first {
                        sleep(time).await;
                    }
                    Some(answer)
                }
                ServerMode::Errs => {
                    if servers.chance.happens(500) {
                        act(&servers);
                    }
                    None
                }
                ServerMode::Refuses | ServerMode::Hangs => std::future::pending().await,
            }
        };
        match self.net.call(from, &self.life(index), patience, serve).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) => Err(SimCallError::BadAnswer),
            Err(LostCall::NotSent) => Err(SimCallError::NotSent),
            Err(LostCall::Broken) => Err(SimCallError::Broken),
            Err(LostCall::Silent) => Err(SimCallError::Silent),
        }
    }

    /// Carries out `create`: creates the meeting unless it runs.
    pub(crate) async fn create(
        self: &Arc<Self>,
        from: &NodeLife,
        server: &ServerId,
        key: &MeetingKey,
        patience: Duration,
    ) -> Result<CreatedInstance, SimCallError> {
        let (index, key) = (index_of(server), key.clone());
        self.ask(from, index, patience, move |servers| servers.created(index, &key)).await
    }

    fn created(self: &Arc<Self>, index: usize, key: &MeetingKey) -> CreatedInstance {
        let now_ms = self.wall.now_ms();
        let (created, is_new) = self.bbb(index).create(key, now_ms, tokio::time::Instant::now());
        if is_new {
            self.witness.instance_created(key, &server_id(index), &created.internal_id);
            let lifetime = self.chance.until_next(self.habits.lifetime);
            let (servers, internal) = (self.clone(), created.internal_id.clone());
            tokio::spawn(async move {
                sleep(lifetime).await;
                if servers.bbb(index).remove(&internal) {
                    servers.witness.instance_ended(&internal, &EndCause::Itself);
                }
            });
        }
        created
    }

    /// Carries out an application's `end`, by the `meetingID`; returns whether the meeting ran.
    pub(crate) async fn end(
        self: &Arc<Self>,
        from: &NodeLife,
        server: &ServerId,
        key: &MeetingKey,
        patience: Duration,
    ) -> Result<bool, SimCallError> {
        let (index, key) = (index_of(server), key.clone());
        let act = move |servers: &Arc<Self>| {
            let found = servers.bbb(index).running(&key);
            if let Some(running) = &found
                && servers.bbb(index).remove(&running.internal_id)
            {
                servers.witness.instance_ended(&running.internal_id, &EndCause::Application);
            }
            found.is_some()
        };
        self.ask(from, index, patience, act).await
    }

    /// Returns the running instance of a meeting, by `getMeetingInfo`.
    pub(crate) async fn running(
        self: &Arc<Self>,
        from: &NodeLife,
        server: &ServerId,
        key: &MeetingKey,
        patience: Duration,
    ) -> Result<Option<CreatedInstance>, SimCallError> {
        let (index, key) = (index_of(server), key.clone());
        self.ask(from, index, patience, move |servers| servers.bbb(index).running(&key)).await
    }

    /// Returns the server as operators would add it.
    pub(crate) fn described(id: ServerId) -> Server {
        Server {
            url: format!("http://{id}/bigbluebutton/api/"),
            id,
            secret: usher_bbb::secret::Secret::new("simulated"),
            weight: 1.0,
            tags: Vec::new(),
            admin: usher_model::server::AdminState::Enabled,
            algorithm: usher_bbb::checksum::ChecksumAlgorithm::Sha256,
            created_at_ms: 0,
            former_of: None,
            created_by: None,
        }
    }
}
