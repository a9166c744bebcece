//! A steady load of creates, joins and ends, and the check of its results.
//!
//! Each worker is an application: it creates a meeting, joins it at another edge, joins an earlier
//! meeting, and ends every third one. It records the answers, and [`LoadHistory::check`] compares them
//! with the meetings of the servers.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};
use usher_bbb_sim::BbbSim;

use crate::{
    client::{BbbTestClient, HttpAnswer},
    wait,
};

/// A load that runs until it is stopped.
#[derive(Debug)]
pub struct MeetingLoad {
    name: String,
    clients: Vec<BbbTestClient>,
    stop: AtomicBool,
    created: AtomicUsize,
}

/// The answers that a load received.
#[derive(Debug, Default)]
pub struct LoadHistory {
    /// Meetings that were acknowledged and not ended: `meetingID` to internal id.
    pub alive: BTreeMap<String, String>,
    /// Creates that got the retryable error, with the body of the answer.
    pub retryable: Vec<String>,
    /// Requests that could not be sent because no process listened.
    pub refused: usize,
    /// Answers that must never occur.
    pub wrong: Vec<String>,
    /// The times from each create to its answer, of any outcome.
    pub create_times: Vec<Duration>,
}

/// The result of one request.
enum RequestResult {
    Answered(HttpAnswer),
    /// No process listened at the edge.
    Refused,
    Broken(String),
}

impl MeetingLoad {
    /// Prepares a load over these edges; `name` is the beginning of every `meetingID`.
    pub fn new(name: &str, clients: Vec<BbbTestClient>) -> Self {
        Self { name: name.to_owned(), clients, stop: AtomicBool::new(false), created: AtomicUsize::new(0) }
    }

    /// Ends the load: every worker finishes its current turn.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until this number of further meetings is created.
    ///
    /// # Errors
    /// When they are not created in time.
    pub async fn goes_on(&self, more: usize) -> Result<()> {
        let goal = self.created.load(Ordering::Relaxed) + more;
        wait::until("the load to go on", || async {
            let created = self.created.load(Ordering::Relaxed);
            ensure!(created >= goal, "{created} of {goal} created");
            Ok(())
        })
        .await
    }

    /// Runs this number of workers until [`MeetingLoad::stop`].
    pub async fn run(&self, workers: usize) -> LoadHistory {
        let workers = (0..workers).map(|worker| self.work(worker));
        let mut sum = LoadHistory::default();
        for history in futures::future::join_all(workers).await {
            sum.alive.extend(history.alive);
            sum.retryable.extend(history.retryable);
            sum.refused += history.refused;
            sum.wrong.extend(history.wrong);
            sum.create_times.extend(history.create_times);
        }
        sum
    }

    async fn work(&self, worker: usize) -> LoadHistory {
        let mut history = LoadHistory::default();
        for turn in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            self.turn(worker, turn, &mut history).await;
        }
        history
    }

    async fn turn(&self, worker: usize, turn: usize, history: &mut LoadHistory) {
        let id = format!("{}-{worker}-{turn}", self.name);
        let query = format!("name=Room&meetingID={id}&attendeePW=ap&moderatorPW=mp");
        let sent = Instant::now();
        let created = self.send(worker + turn, "create", &query, history).await;
        history.create_times.push(sent.elapsed());
        match created {
            RequestResult::Answered(answer) if answer.is_success() => {
                self.created.fetch_add(1, Ordering::Relaxed);
                let internal = answer.text("internalMeetingID").unwrap_or_default().to_owned();
                history.alive.insert(id.clone(), internal);
            }
            RequestResult::Answered(answer)
                if answer.status == 200 && answer.key() == "serverUnavailable" =>
            {
                history.retryable.push(answer.body);
                return;
            }
            told => return history.wrong.push(format!("create {id}: {}", told.describe())),
        }
        let earlier = format!("{}-{worker}-{}", self.name, turn / 2);
        for known in [&id, &earlier] {
            if history.alive.contains_key(known) {
                self.join(worker + turn + 1, known, history).await;
            }
        }
        if turn.is_multiple_of(3) {
            let query = format!("meetingID={id}&password=mp");
            match self.send(worker + turn, "end", &query, history).await {
                RequestResult::Answered(answer) if answer.is_success() => {
                    history.alive.remove(&id);
                }
                // After a retryable error the meeting may have ended: the outcome is unknown.
                RequestResult::Answered(answer) if answer.key() == "serverUnavailable" => {
                    history.alive.remove(&id);
                }
                told => history.wrong.push(format!("end {id}: {}", told.describe())),
            }
        }
    }

    async fn join(&self, edge: usize, id: &str, history: &mut LoadHistory) {
        let query = format!("fullName=Ada&meetingID={id}&password=mp");
        match self.send(edge, "join", &query, history).await {
            RequestResult::Answered(answer) if answer.status == 302 => {}
            told => history.wrong.push(format!("join {id}: {}", told.describe())),
        }
    }

    /// Sends a request to an edge, and to the next edge if no process listens, as a network load
    /// balancer does.
    async fn send(&self, edge: usize, call: &str, query: &str, history: &mut LoadHistory) -> RequestResult {
        for next in 0..self.clients.len() {
            match self.clients[(edge + next) % self.clients.len()].get(call, query).await {
                Ok(answer) => return RequestResult::Answered(answer),
                Err(error) if was_refused(&error) => history.refused += 1,
                Err(error) => return RequestResult::Broken(format!("{error:#}")),
            }
        }
        RequestResult::Refused
    }
}

impl RequestResult {
    fn describe(&self) -> String {
        match self {
            Self::Answered(answer) => format!("{} {}", answer.status, answer.body),
            Self::Refused => "no edge listens".to_owned(),
            Self::Broken(error) => error.clone(),
        }
    }
}

fn was_refused(error: &anyhow::Error) -> bool {
    error.downcast_ref::<reqwest::Error>().is_some_and(reqwest::Error::is_connect)
}

impl LoadHistory {
    /// Returns the time within which 99 of 100 creates were answered.
    pub fn create_p99(&self) -> Duration {
        let mut times = self.create_times.clone();
        times.sort_unstable();
        let at = (times.len() * 99).div_ceil(100).saturating_sub(1);
        times.get(at).copied().unwrap_or_default()
    }

    /// Checks the invariant at rest: every acknowledged meeting is on exactly one server, as the
    /// acknowledged instance, every edge sends its users there, and no other id is on two servers.
    ///
    /// # Errors
    /// When the invariant does not hold in time.
    pub async fn check(&self, clients: &[BbbTestClient], sims: &[BbbSim]) -> Result<()> {
        let bases: Vec<String> = sims.iter().map(|sim| sim.base().to_owned()).collect();
        self.check_at(clients, sims, &bases).await
    }

    /// Checks the same as [`LoadHistory::check`], for servers to which edges send users by these base
    /// addresses.
    ///
    /// # Errors
    /// When the invariant does not hold in time.
    pub async fn check_at(&self, clients: &[BbbTestClient], sims: &[BbbSim], bases: &[String]) -> Result<()> {
        ensure!(self.wrong.is_empty(), "{} went wrong, first: {:#?}", self.wrong.len(), self.wrong.first());
        wait::until("every meeting to be on one server", || async {
            let hosts = hosts(sims);
            let split: Vec<_> = hosts.iter().filter(|(_, on)| on.len() > 1).collect();
            ensure!(split.is_empty(), "on two servers: {split:?}");
            Ok(())
        })
        .await?;
        let hosts = hosts(sims);
        for (number, (id, internal)) in self.alive.iter().enumerate() {
            let on = hosts.get(id).and_then(|on| on.first());
            ensure!(on.is_some_and(|(_, instance)| instance == internal), "{id} is {internal}, found {on:?}");
            let base = on.map(|(server, _)| bases[*server].as_str()).unwrap_or_default();
            let location = clients[number % clients.len()].joined(id).await?;
            ensure!(location.starts_with(base), "{id} runs at {base}, its users are sent to {location}");
        }
        Ok(())
    }
}

/// Returns the servers that have each meeting, with the internal id of its instance.
fn hosts(sims: &[BbbSim]) -> BTreeMap<String, Vec<(usize, String)>> {
    let mut hosts: BTreeMap<String, Vec<(usize, String)>> = BTreeMap::new();
    for (number, sim) in sims.iter().enumerate() {
        for meeting in sim.meetings().into_iter().filter(|meeting| !meeting.ending) {
            hosts.entry(meeting.meeting_id).or_default().push((number, meeting.internal_id));
        }
    }
    hosts
}
