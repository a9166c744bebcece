//! One channel for each endpoint, and the calls to them.
//!
//! etcd-client spreads calls over dead endpoints too, so this pool chooses by
//! [`MemberChoice`]. A call that is certainly not done is repeated at the next endpoint until the
//! deadline; an election of etcd's own is therefore a pause and not an error. A read whose endpoint
//! is silent for a moment goes to a second one as well. A write is sent to one endpoint at a time;
//! if its answer is lost, the caller soon learns it and reads back at another endpoint.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use etcd_client::{Client, Error};
use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::debug;
use usher_model::settings::StoreSettings;
use usher_runtime::clock;

use super::{
    call_failure::{CallFailure, classify},
    endpoint::Endpoint,
};
use crate::{
    core::member_choice::{AttemptTimes, CallKind, MemberChoice},
    ports::StoreError,
};

/// Pause after every endpoint failed once.
const PAUSE: Duration = Duration::from_millis(50);

/// Longest time in which an endpoint gives a token: etcd checks the password by an algorithm that is
/// slow by design.
const TOKEN: Duration = Duration::from_secs(2);

/// Largest number of attempts of one read under way at a time. More would load a cluster that is
/// slow as a whole.
const UNDER_WAY: usize = 2;

/// The answer to a call, with the endpoint that gave it.
pub(super) struct EndpointAnswer<T> {
    /// Index of the endpoint.
    pub(super) endpoint: usize,
    /// Content of the answer.
    pub(super) answer: T,
}

/// The endpoints of one cluster.
pub(super) struct EndpointPool {
    endpoints: Vec<Endpoint>,
    choice: Mutex<MemberChoice>,
    timeout: Duration,
}

impl EndpointPool {
    /// Takes the addresses and the settings of a cluster; there is at least one address. Calls
    /// none yet.
    pub(super) fn new(urls: Vec<String>, settings: &StoreSettings) -> Self {
        let (shared, said_off) = (Arc::new(settings.clone()), Arc::default());
        let endpoint = |url| Endpoint::new(url, Arc::clone(&shared), Arc::clone(&said_off));
        let endpoints: Vec<Endpoint> = urls.into_iter().map(endpoint).collect();
        let choice = Mutex::new(MemberChoice::new(endpoints.len()));
        Self { endpoints, choice, timeout: settings.timeout }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Returns how long a silent endpoint is waited for: `wanted` if another one can be called
    /// instead, else the deadline of a call.
    pub(super) fn patience(&self, wanted: Duration) -> Duration {
        if self.has_others() { wanted.min(self.timeout) } else { self.timeout }
    }

    /// Returns whether there is more than one endpoint.
    pub(super) fn has_others(&self) -> bool {
        self.endpoints.len() > 1
    }

    /// Calls the preferred endpoint, and others if the call is certainly not done there.
    ///
    /// # Errors
    /// `Unknown` if the call may be done, `Rejected` if no endpoint would do it, else
    /// `Unavailable`.
    pub(super) async fn call<T, F>(&self, kind: CallKind, call: impl Fn(Client) -> F) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.call_within(self.timeout, kind, call).await.map(|answered| answered.answer)
    }

    /// Like [`EndpointPool::call`], with a deadline of its own.
    pub(super) async fn call_within<T, F>(
        &self,
        limit: Duration,
        kind: CallKind,
        call: impl Fn(Client) -> F,
    ) -> Result<EndpointAnswer<T>, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + limit;
        let mut tried = vec![0_u32; self.endpoints.len()];
        let mut under_way = FuturesUnordered::new();
        let mut waiting: Vec<usize> = Vec::with_capacity(UNDER_WAY);
        let call = &call;
        loop {
            let (endpoint, times) = self.next(kind, limit, &tried);
            tried[endpoint] += 1;
            let begun = Instant::now();
            under_way.push(async move {
                let (endpoint, result) = self.attempt(endpoint, deadline, times.attempt, call).await;
                (endpoint, result, begun.elapsed())
            });
            waiting.push(endpoint);
            let hedge_at =
                times.hedge.filter(|_| under_way.len() < UNDER_WAY).map(|hedge| Instant::now() + hedge);
            let ended = tokio::select! {
                Some(ended) = under_way.next() => ended,
                () = sleep_until(hedge_at.unwrap_or(deadline)), if hedge_at.is_some() => continue,
            };
            let (endpoint, result, took) = ended;
            waiting.retain(|other| *other != endpoint);
            let why = match result {
                Ok(answer) => {
                    self.answered(endpoint, &waiting, Some(took).filter(|_| kind != CallKind::Long));
                    return Ok(EndpointAnswer { endpoint, answer });
                }
                Err(CallFailure::Refused(why)) => return Err(StoreError::Rejected(why)),
                Err(CallFailure::Lost(why)) if kind == CallKind::Write => {
                    self.failed(endpoint, &why);
                    return Err(StoreError::Unknown(why));
                }
                Err(CallFailure::Lost(why) | CallFailure::NotDone(why)) => why,
            };
            self.failed(endpoint, &why);
            let round = u32::try_from(self.endpoints.len()).unwrap_or(u32::MAX);
            let ended_round = tried.iter().sum::<u32>() % round == 0;
            let again = if ended_round { Instant::now() + PAUSE } else { Instant::now() };
            if again >= deadline {
                return Err(StoreError::Unavailable(why));
            }
            sleep_until(again).await;
        }
    }

    async fn attempt<T, F>(
        &self,
        index: usize,
        deadline: Instant,
        limit: Duration,
        call: impl Fn(Client) -> F,
    ) -> (usize, Result<T, CallFailure>)
    where
        F: Future<Output = Result<T, Error>>,
    {
        let endpoint = &self.endpoints[index];
        let named = |failure: CallFailure| failure.at(&endpoint.url, endpoint.lacks_certificate());
        let hung = || format!("no answer within {limit:?}");
        // Only a token is requested so far, so the call itself is not done.
        let not_done = |error| match classify(error) {
            CallFailure::Lost(why) => CallFailure::NotDone(why),
            other => other,
        };
        let soon = |limit: Duration| deadline.min(Instant::now() + limit);
        let connected = match timeout_at(soon(limit.max(TOKEN)), endpoint.client()).await {
            Ok(Ok(connected)) => connected,
            Ok(Err(error)) => return (index, Err(named(not_done(error)))),
            Err(_) => return (index, Err(named(CallFailure::NotDone(hung())))),
        };
        let first = match timeout_at(soon(limit), call(connected.client.clone())).await {
            Ok(Ok(answer)) => return (index, Ok(answer)),
            Ok(Err(error)) => error,
            Err(_) => return (index, Err(named(CallFailure::Lost(hung())))),
        };
        match timeout_at(soon(limit.max(TOKEN)), endpoint.renew(&connected, &first)).await {
            Ok(Ok(false)) => return (index, Err(named(classify(first)))),
            Ok(Ok(true)) => {}
            Ok(Err(error)) => return (index, Err(named(not_done(error)))),
            Err(_) => return (index, Err(named(CallFailure::NotDone(hung())))),
        }
        let result = match timeout_at(soon(limit), call(connected.client)).await {
            Ok(answer) => answer.map_err(|error| named(classify(error))),
            Err(_) => Err(named(CallFailure::Lost(hung()))),
        };
        (index, result)
    }

    /// Returns a receiver that wakes when a call to this endpoint fails.
    pub(super) fn failures(&self, index: usize) -> watch::Receiver<u64> {
        self.endpoints[index].failures()
    }

    /// Notes that an endpoint failed; other calls avoid it for a while.
    pub(super) fn failed(&self, index: usize, why: &str) {
        let mut choice = self.choice();
        let moved = choice.failed(index, clock::now());
        self.tell(moved, index, choice.preferred(), why);
        drop(choice);
        self.endpoints[index].failed();
    }

    fn next(&self, kind: CallKind, limit: Duration, tried: &[u32]) -> (usize, AttemptTimes) {
        let (choice, now) = (self.choice(), clock::now());
        let endpoint = choice.next(tried, now);
        (endpoint, choice.times(kind, limit, endpoint, now))
    }

    /// Notes an answer, and which endpoints were called before and are silent still. Watches leave
    /// the endpoints that failed before: now another one is known to be better. While etcd elects a
    /// leader every endpoint fails, and no watch needs to move.
    fn answered(&self, index: usize, silent: &[usize], took: Option<Duration>) {
        for (other, endpoint) in self.endpoints.iter().enumerate() {
            if other == index { endpoint.answered() } else { endpoint.outdone() }
        }
        let mut choice = self.choice();
        choice.answered(index);
        if let Some(took) = took {
            choice.took(took);
        }
        for slow in silent {
            let moved = choice.outran(*slow, index);
            self.tell(moved, *slow, index, "another endpoint answered first");
        }
    }

    fn tell(&self, moved: bool, from: usize, to: usize, why: &str) {
        if moved {
            debug!(
                from = self.endpoints[from].url,
                to = self.endpoints[to].url,
                why,
                "etcd endpoint changed"
            );
        }
    }

    fn choice(&self) -> MutexGuard<'_, MemberChoice> {
        self.choice.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
