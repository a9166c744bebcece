//! Applications that create, join and end meetings while everything around them breaks, and what
//! they were told.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use usher_bbb_sim::BbbSim;
use usher_harness::{
    client::{Answer, BbbClient},
    cluster::Cluster,
};

/// Time between two turns of one application.
const TURN: Duration = Duration::from_millis(50);

/// What a join is told whose meeting does not exist.
const NO_SUCH_MEETING: &str = "invalidMeetingIdentifier";

/// A load of applications.
pub(super) struct School {
    name: String,
    clients: Vec<BbbClient>,
    seed: u64,
    stop: AtomicBool,
}

/// An id and the internal id that a create of it was acknowledged with.
type Instance = (String, String);

/// What is known of an id.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Known {
    /// The last create was acknowledged as this instance.
    Runs(String),
    /// It was acknowledged once; a later create was not, so which instance runs is not known.
    RunsAsSomeInstance,
    /// It may run, or not: no create was ever acknowledged, or an end was not.
    Perhaps,
    /// It was ended, and that was acknowledged.
    Ended,
}

/// What the applications were told.
#[derive(Debug, Default)]
pub(super) struct Told {
    known: BTreeMap<String, Known>,
    /// Which instance was sent to which address, while it was certain which one of its id runs. While a
    /// create is under way, or was not acknowledged, a join goes where the meeting is going to be.
    redirects: BTreeSet<(Instance, String)>,
    /// Instances of which a join said that there is no such meeting, while it was certain that they run.
    denied: BTreeSet<Instance>,
    created: usize,
    joined: usize,
    refused_creates: usize,
    refused_joins: usize,
    broken: usize,
    /// Everything that must never happen.
    pub(super) wrong: Vec<String>,
}

impl School {
    /// Prepares a load; `name` begins every id.
    pub(super) fn new(name: &str, clients: Vec<BbbClient>, seed: u64) -> Self {
        Self { name: name.to_owned(), clients, seed, stop: AtomicBool::new(false) }
    }

    /// Ends the load.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Runs so many applications until [`School::stop`].
    pub(super) async fn run(&self, workers: usize) -> Told {
        let mut sum = Told::default();
        for told in futures::future::join_all((0..workers).map(|worker| self.work(worker))).await {
            sum.known.extend(told.known);
            sum.redirects.extend(told.redirects);
            sum.denied.extend(told.denied);
            sum.wrong.extend(told.wrong);
            sum.created += told.created;
            sum.joined += told.joined;
            sum.refused_creates += told.refused_creates;
            sum.refused_joins += told.refused_joins;
            sum.broken += told.broken;
        }
        sum
    }

    async fn work(&self, worker: usize) -> Told {
        let mut chance = StdRng::seed_from_u64(self.seed.wrapping_add(worker as u64));
        let mut told = Told::default();
        let mut turn = tokio::time::interval(TURN);
        turn.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        for number in 0_usize.. {
            turn.tick().await;
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let id = format!("{}-{worker}-{number}", self.name);
            self.create(&id, &mut chance, &mut told).await;
            let earlier = format!("{}-{worker}-{}", self.name, chance.random_range(0..=number));
            for known in [&id, &earlier] {
                self.join(known, &mut chance, &mut told).await;
            }
            if chance.random_bool(0.5) {
                let earlier = format!("{}-{worker}-{}", self.name, chance.random_range(0..=number));
                self.end(&earlier, &mut chance, &mut told).await;
            }
        }
        told
    }

    async fn create(&self, id: &str, chance: &mut StdRng, told: &mut Told) {
        let query = format!("name=Room&meetingID={id}&attendeePW=ap&moderatorPW=mp");
        let before = told.known.get(id).cloned();
        let now = match self.send("create", &query, chance, told).await {
            Some(answer) if answer.is_success() => {
                told.created += 1;
                Known::Runs(answer.text("internalMeetingID").unwrap_or_default().to_owned())
            }
            other => {
                told.refused_creates += 1;
                if let Some(answer) = other
                    && (answer.status, answer.key()) != (200, "serverUnavailable")
                {
                    told.wrong.push(format!("create {id}: {} {}", answer.status, answer.body));
                }
                match before {
                    Some(Known::Runs(_) | Known::RunsAsSomeInstance) => Known::RunsAsSomeInstance,
                    _ => Known::Perhaps,
                }
            }
        };
        told.known.insert(id.to_owned(), now);
    }

    async fn join(&self, id: &str, chance: &mut StdRng, told: &mut Told) {
        let certain = match told.known.get(id) {
            Some(Known::Runs(instance)) => Some((id.to_owned(), instance.clone())),
            _ => None,
        };
        let runs = certain.is_some() || told.known.get(id) == Some(&Known::RunsAsSomeInstance);
        let query = format!("fullName=Ada&meetingID={id}&password=mp");
        let Some(answer) = self.send("join", &query, chance, told).await else { return };
        match (answer.status, answer.location.as_deref()) {
            (302, Some(location)) => {
                told.joined += 1;
                let base = by_address(location.split("/bigbluebutton/").next().unwrap_or_default());
                told.redirects.extend(certain.map(|instance| (instance, base)));
            }
            (200, _) if answer.text("returncode") == Some("FAILED") => {
                told.refused_joins += usize::from(runs);
                if answer.key() == NO_SUCH_MEETING {
                    told.denied.extend(certain);
                    // As an application does whose room is gone: it opens it again.
                    if runs {
                        self.create(id, chance, told).await;
                    }
                }
            }
            _ => told.wrong.push(format!("join {id}: {} {}", answer.status, answer.body)),
        }
    }

    async fn end(&self, id: &str, chance: &mut StdRng, told: &mut Told) {
        if !matches!(told.known.get(id), Some(Known::Runs(_))) {
            return;
        }
        let query = format!("meetingID={id}&password=mp");
        let now = match self.send("end", &query, chance, told).await {
            Some(answer) if answer.is_success() => Known::Ended,
            // It may be under way somewhere still: the id is not used any more.
            _ => Known::Perhaps,
        };
        told.known.insert(id.to_owned(), now);
    }

    /// Sends a request to an edge; where nobody listens, to the next one, as a network load balancer
    /// does. None when the connection broke under it.
    async fn send(&self, call: &str, query: &str, chance: &mut StdRng, told: &mut Told) -> Option<Answer> {
        let first = chance.random_range(0..self.clients.len());
        for next in 0..self.clients.len() {
            match self.clients[(first + next) % self.clients.len()].get(call, query).await {
                Ok(answer) => return Some(answer),
                Err(error) => {
                    told.broken += 1;
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

impl Told {
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

    /// Checks what must hold at rest: every acknowledged meeting runs, as the instance it was
    /// acknowledged as, and every edge sends its users there; no join was ever sent to a server that
    /// had nothing to do with its meeting, and none was told that a meeting does not exist whose server
    /// was well all the time (I13).
    pub(super) async fn check(&self, cluster: &Cluster, blamed: &BTreeSet<usize>) -> Result<()> {
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
                Known::Runs(instance) => {
                    ensure!(on.is_some_and(|(_, runs)| runs == instance), "{id} is {instance}, found {on:?}");
                }
                Known::RunsAsSomeInstance => ensure!(on.is_some(), "{id} was acknowledged and is gone"),
                Known::Ended => ensure!(on.is_none(), "{id} was ended and runs: {on:?}"),
                Known::Perhaps => continue,
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
        let asked: Vec<BTreeSet<String>> = cluster.sims.iter().map(ids_created).collect();
        let mut homes: BTreeMap<&Instance, usize> = BTreeMap::new();
        for (instance, base) in &self.redirects {
            let id = &instance.0;
            let server = cluster.bases.iter().position(|other| other == base);
            let server = server.with_context(|| format!("{id} was sent to {base}, which is no server"))?;
            ensure!(asked[server].contains(id), "{id} was sent to server {server}, which never had it");
            let other = homes.insert(instance, server);
            ensure!(
                other.is_none_or(|other| other == server),
                "{instance:?} was sent to {other:?} and {server}"
            );
        }
        for (id, instance) in &self.denied {
            let runs_still = runs.get(id).filter(|(_, runs)| runs == instance).map(|(server, _)| *server);
            let home = homes.get(&(id.clone(), instance.clone())).copied().or(runs_still);
            // Before any join got through, it may be on any server that was asked for it.
            let mut perhaps = home.map_or_else(
                || (0..asked.len()).filter(|at| asked[*at].contains(id)).collect(),
                |at| vec![at],
            );
            perhaps.retain(|server| blamed.contains(server));
            ensure!(!perhaps.is_empty(), "{id} was denied, though server {home:?}, which has it, is well");
        }
        Ok(())
    }
}

/// The ids that a server was asked to create.
fn ids_created(sim: &BbbSim) -> BTreeSet<String> {
    let creates = sim.calls().into_iter().filter(|call| call.name == "create");
    creates
        .filter_map(|call| {
            let parameters = call.query.split('&').find_map(|pair| pair.strip_prefix("meetingID="));
            parameters.map(str::to_owned)
        })
        .collect()
}

/// Writes the machine of a server by its address, as its first entry does; the second one names it.
fn by_address(url: &str) -> String {
    url.replace("//localhost:", "//127.0.0.1:")
}
