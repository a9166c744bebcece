//! Applications that create, join and end meetings during faults, and the answers that they got.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use usher_bbb_sim::BbbSim;
use usher_harness::{
    client::{BbbTestClient, HttpAnswer},
    cluster::TestCluster,
};

/// The pause between two turns of one application.
const TURN: Duration = Duration::from_millis(50);

/// The key of the answer to a join of a meeting that does not exist.
const NO_SUCH_MEETING: &str = "invalidMeetingIdentifier";

/// A load of several applications.
pub(super) struct ApplicationLoad {
    name: String,
    clients: Vec<BbbTestClient>,
    seed: u64,
    stop: AtomicBool,
}

/// An id, and the internal id with which its create was acknowledged.
type Instance = (String, String);

/// The knowledge of an application about an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum MeetingKnowledge {
    /// The last create was acknowledged as this instance.
    Runs(String),
    /// A create was acknowledged, but a later one was not, so the running instance is unknown.
    RunsAsSomeInstance,
    /// The meeting may run or not: no create was acknowledged, or an end was not.
    Perhaps,
    /// The meeting was ended, and the end was acknowledged.
    Ended,
}

/// The answers that the applications got.
#[derive(Debug, Default)]
pub(super) struct LoadAnswers {
    known: BTreeMap<String, MeetingKnowledge>,
    /// The instances and the addresses of their redirects, recorded only while the running instance
    /// of the id was certain. During a create, or after one that was not acknowledged, a join goes
    /// to the server on which the meeting will be.
    redirects: BTreeSet<(Instance, String)>,
    /// Instances of which a join reported that the meeting does not exist, while it was certain
    /// that they run.
    denied: BTreeSet<Instance>,
    created: usize,
    joined: usize,
    refused_creates: usize,
    refused_joins: usize,
    broken: usize,
    /// Answers that must never occur.
    pub(super) wrong: Vec<String>,
}

impl ApplicationLoad {
    /// Prepares a load; `name` is the beginning of every id.
    pub(super) fn new(name: &str, clients: Vec<BbbTestClient>, seed: u64) -> Self {
        Self { name: name.to_owned(), clients, seed, stop: AtomicBool::new(false) }
    }

    /// Ends the load: every application finishes its turn.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Runs this number of applications until [`ApplicationLoad::stop`].
    pub(super) async fn run(&self, workers: usize) -> LoadAnswers {
        let mut sum = LoadAnswers::default();
        for answers in futures::future::join_all((0..workers).map(|worker| self.work(worker))).await {
            sum.known.extend(answers.known);
            sum.redirects.extend(answers.redirects);
            sum.denied.extend(answers.denied);
            sum.wrong.extend(answers.wrong);
            sum.created += answers.created;
            sum.joined += answers.joined;
            sum.refused_creates += answers.refused_creates;
            sum.refused_joins += answers.refused_joins;
            sum.broken += answers.broken;
        }
        sum
    }

    async fn work(&self, worker: usize) -> LoadAnswers {
        let mut chance = StdRng::seed_from_u64(self.seed.wrapping_add(worker as u64));
        let mut answers = LoadAnswers::default();
        let mut turn = tokio::time::interval(TURN);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for number in 0_usize.. {
            turn.tick().await;
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let id = format!("{}-{worker}-{number}", self.name);
            self.create(&id, &mut chance, &mut answers).await;
            let earlier = format!("{}-{worker}-{}", self.name, chance.random_range(0..=number));
            for known in [&id, &earlier] {
                self.join(known, &mut chance, &mut answers).await;
            }
            if chance.random_bool(0.5) {
                let earlier = format!("{}-{worker}-{}", self.name, chance.random_range(0..=number));
                self.end(&earlier, &mut chance, &mut answers).await;
            }
        }
        answers
    }

    async fn create(&self, id: &str, chance: &mut StdRng, answers: &mut LoadAnswers) {
        let query = format!("name=Room&meetingID={id}&attendeePW=ap&moderatorPW=mp");
        let before = answers.known.get(id).cloned();
        let now = match self.send("create", &query, chance, answers).await {
            Some(answer) if answer.is_success() => {
                answers.created += 1;
                MeetingKnowledge::Runs(answer.text("internalMeetingID").unwrap_or_default().to_owned())
            }
            other => {
                answers.refused_creates += 1;
                if let Some(answer) = other
                    && (answer.status, answer.key()) != (200, "serverUnavailable")
                {
                    answers.wrong.push(format!("create {id}: {} {}", answer.status, answer.body));
                }
                match before {
                    Some(MeetingKnowledge::Runs(_) | MeetingKnowledge::RunsAsSomeInstance) => {
                        MeetingKnowledge::RunsAsSomeInstance
                    }
                    _ => MeetingKnowledge::Perhaps,
                }
            }
        };
        answers.known.insert(id.to_owned(), now);
    }

    async fn join(&self, id: &str, chance: &mut StdRng, answers: &mut LoadAnswers) {
        let certain = match answers.known.get(id) {
            Some(MeetingKnowledge::Runs(instance)) => Some((id.to_owned(), instance.clone())),
            _ => None,
        };
        let runs = certain.is_some() || answers.known.get(id) == Some(&MeetingKnowledge::RunsAsSomeInstance);
        let query = format!("fullName=Ada&meetingID={id}&password=mp");
        let Some(answer) = self.send("join", &query, chance, answers).await else { return };
        match (answer.status, answer.location.as_deref()) {
            (302, Some(location)) => {
                answers.joined += 1;
                let base = by_address(location.split("/bigbluebutton/").next().unwrap_or_default());
                answers.redirects.extend(certain.map(|instance| (instance, base)));
            }
            (200, _) if answer.text("returncode") == Some("FAILED") => {
                answers.refused_joins += usize::from(runs);
                if answer.key() == NO_SUCH_MEETING {
                    answers.denied.extend(certain);
                    // An application whose meeting has ended opens it again.
                    if runs {
                        self.create(id, chance, answers).await;
                    }
                }
            }
            _ => answers.wrong.push(format!("join {id}: {} {}", answer.status, answer.body)),
        }
    }

    async fn end(&self, id: &str, chance: &mut StdRng, answers: &mut LoadAnswers) {
        if !matches!(answers.known.get(id), Some(MeetingKnowledge::Runs(_))) {
            return;
        }
        let query = format!("meetingID={id}&password=mp");
        let now = match self.send("end", &query, chance, answers).await {
            Some(answer) if answer.is_success() => MeetingKnowledge::Ended,
            // An `end` may still be on its way: the id is not used again.
            _ => MeetingKnowledge::Perhaps,
        };
        answers.known.insert(id.to_owned(), now);
    }

    /// Sends a request to an edge, and to the next edge if no process listens, as a network load
    /// balancer does. Returns `None` if the connection broke during the request.
    async fn send(
        &self,
        call: &str,
        query: &str,
        chance: &mut StdRng,
        answers: &mut LoadAnswers,
    ) -> Option<HttpAnswer> {
        let first = chance.random_range(0..self.clients.len());
        for next in 0..self.clients.len() {
            match self.clients[(first + next) % self.clients.len()].get(call, query).await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    answers.broken += 1;
                    let refused =
                        error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect);
                    if !refused {
                        return None;
                    }
                }
            }
        }
        None
    }
}

impl LoadAnswers {
    pub(super) fn summary(&self) -> String {
        format!(
            "{} creates acknowledged, {} refused; {} joins answered, {} refused, {} of them as not \
             found; {} connections broken",
            self.created,
            self.refused_creates,
            self.joined,
            self.refused_joins,
            self.denied.len(),
            self.broken
        )
    }

    /// Checks the invariants at rest: every acknowledged meeting runs, as the acknowledged
    /// instance, and every edge sends its users there; no join was sent to a server that was never
    /// involved with its meeting; and no join was answers that a meeting does not exist whose server
    /// had no fault (I13).
    pub(super) async fn check(&self, cluster: &TestCluster, blamed: &BTreeSet<usize>) -> Result<()> {
        ensure!(self.wrong.is_empty(), "{} went wrong, first: {:#?}", self.wrong.len(), self.wrong.first());
        let runs: BTreeMap<String, (usize, String)> = cluster
            .sims
            .iter()
            .enumerate()
            .flat_map(|(server, sim)| {
                let running = sim.meetings().into_iter().filter(|meeting| !meeting.ending);
                running.map(move |meeting| (meeting.meeting_id, (server, meeting.internal_id)))
            })
            .collect();
        for (id, known) in &self.known {
            let on = runs.get(id);
            match known {
                MeetingKnowledge::Runs(instance) => {
                    ensure!(on.is_some_and(|(_, runs)| runs == instance), "{id} is {instance}, found {on:?}");
                }
                MeetingKnowledge::RunsAsSomeInstance => {
                    ensure!(on.is_some(), "{id} was acknowledged and does not run");
                }
                MeetingKnowledge::Ended => ensure!(on.is_none(), "{id} was ended and runs: {on:?}"),
                MeetingKnowledge::Perhaps => continue,
            }
            let Some((server, _)) = on else { continue };
            for edge in 0..cluster.edges.len() {
                let location =
                    cluster.client(edge).joined(id).await.with_context(|| format!("edge {edge}"))?;
                let location = by_address(&location);
                let base = &cluster.bases[*server];
                ensure!(location.starts_with(base), "{id} runs at {base}, its users are sent to {location}");
            }
        }
        let requested: Vec<BTreeSet<String>> = cluster.sims.iter().map(ids_created).collect();
        let mut homes: BTreeMap<&Instance, usize> = BTreeMap::new();
        for (instance, base) in &self.redirects {
            let id = &instance.0;
            let server = cluster.bases.iter().position(|other| other == base);
            let server = server.with_context(|| format!("{id} was sent to {base}, which is no server"))?;
            ensure!(requested[server].contains(id), "{id} was sent to server {server}, which never had it");
            let other = homes.insert(instance, server);
            ensure!(
                other.is_none_or(|other| other == server),
                "{instance:?} was sent to {other:?} and {server}"
            );
        }
        for (id, instance) in &self.denied {
            let runs_still = runs.get(id).filter(|(_, runs)| runs == instance).map(|(server, _)| *server);
            let home = homes.get(&(id.clone(), instance.clone())).copied().or(runs_still);
            // Before the first successful join, the meeting may be on any server that got its
            // create.
            let mut perhaps = home.map_or_else(
                || (0..requested.len()).filter(|at| requested[*at].contains(id)).collect(),
                |at| vec![at],
            );
            perhaps.retain(|server| blamed.contains(server));
            ensure!(!perhaps.is_empty(), "{id} was denied, although its server {home:?} had no fault");
        }
        Ok(())
    }
}

/// Returns the ids of the creates that a server got.
fn ids_created(sim: &BbbSim) -> BTreeSet<String> {
    let creates = sim.calls().into_iter().filter(|call| call.name == "create");
    creates
        .filter_map(|call| {
            let parameters = call.query.split('&').find_map(|pair| pair.strip_prefix("meetingID="));
            parameters.map(str::to_owned)
        })
        .collect()
}

/// Returns the address of a server with its IP, as in its first entry; the second entry has its
/// name.
fn by_address(url: &str) -> String {
    url.replace("//localhost:", "//127.0.0.1:")
}
