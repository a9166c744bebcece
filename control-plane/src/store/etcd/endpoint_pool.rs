//! One channel for each endpoint, and the choice of a working one.
//!
//! etcd-client spreads calls over dead endpoints too, so this pool chooses: calls go to the
//! preferred endpoint until it fails. A call that is certainly not done is repeated at the next
//! endpoint until the deadline; an election of etcd's own is therefore a pause and not an error.

use std::{
    future::Future,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use etcd_client::{Client, ConnectOptions, Error};
use tokio::{
    sync::OnceCell,
    time::{Instant, sleep_until, timeout_at},
};
use tracing::debug;

use super::call_failure::{CallFailure, classify};
use crate::ports::StoreError;

/// Pause after every endpoint failed once.
const PAUSE: Duration = Duration::from_millis(50);

/// Number of attempts that fit into the deadline of a repeatable call.
const TRIES: u32 = 3;

/// The effect of a second attempt after the answer to a call was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeatability {
    /// The call has the same effect once or twice.
    Safe,
    /// The call might take effect twice.
    Never,
}

struct Endpoint {
    url: String,
    options: ConnectOptions,
    /// The client is made at the first call: with a user, the client requests a token, and etcd may
    /// still be starting.
    client: OnceCell<Client>,
}

impl Endpoint {
    async fn client(&self) -> Result<Client, Error> {
        let connect = || Client::connect([&self.url], Some(self.options.clone()));
        self.client.get_or_try_init(connect).await.cloned()
    }
}

/// The endpoints of one cluster.
pub(super) struct EndpointPool {
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
    timeout: Duration,
}

impl EndpointPool {
    /// Takes at least one endpoint and calls none yet. `timeout` bounds each call.
    pub(super) fn new(endpoints: Vec<(String, ConnectOptions)>, timeout: Duration) -> Self {
        let endpoint = |(url, options)| Endpoint { url, options, client: OnceCell::new() };
        Self {
            endpoints: endpoints.into_iter().map(endpoint).collect(),
            preferred: AtomicUsize::new(0),
            timeout,
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Calls the preferred endpoint, and others if the call is certainly not done there.
    ///
    /// # Errors
    /// `Unknown` if the call may be done, `Rejected` if no endpoint would do it, else
    /// `Unavailable`.
    pub(super) async fn call<T, F>(
        &self,
        repeat: Repeatability,
        call: impl Fn(Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        self.call_within(self.timeout, repeat, call).await
    }

    /// Like [`EndpointPool::call`], with a deadline of its own.
    pub(super) async fn call_within<T, F>(
        &self,
        limit: Duration,
        repeat: Repeatability,
        call: impl Fn(Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let deadline = Instant::now() + limit;
        for tries in 1.. {
            let index = self.preferred.load(Ordering::Relaxed) % self.endpoints.len();
            let failure = match self.attempt(index, repeat, limit, deadline, &call).await {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            let why = match failure {
                CallFailure::Refused(why) => return Err(StoreError::Rejected(why)),
                CallFailure::Lost(why) if repeat == Repeatability::Never => {
                    self.leave(index, &why);
                    return Err(StoreError::Unknown(why));
                }
                CallFailure::Lost(why) | CallFailure::NotDone(why) => why,
            };
            self.leave(index, &why);
            let again =
                if tries % self.endpoints.len() == 0 { Instant::now() + PAUSE } else { Instant::now() };
            if again >= deadline {
                return Err(StoreError::Unavailable(why));
            }
            sleep_until(again).await;
        }
        Err(StoreError::Unavailable("no endpoint answered".into()))
    }

    async fn attempt<T, F>(
        &self,
        index: usize,
        repeat: Repeatability,
        limit: Duration,
        deadline: Instant,
        call: impl Fn(Client) -> F,
    ) -> Result<T, CallFailure>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let endpoint = &self.endpoints[index];
        let until = match repeat {
            Repeatability::Safe => deadline.min(Instant::now() + limit / TRIES),
            Repeatability::Never => deadline,
        };
        let named = |failure| match failure {
            CallFailure::NotDone(why) => CallFailure::NotDone(format!("{}: {why}", endpoint.url)),
            CallFailure::Lost(why) => CallFailure::Lost(format!("{}: {why}", endpoint.url)),
            CallFailure::Refused(why) => CallFailure::Refused(format!("{}: {why}", endpoint.url)),
        };
        let hung = || format!("no answer within {limit:?}");
        let client = match timeout_at(until, endpoint.client()).await {
            Ok(Ok(client)) => client,
            // Only a token was requested so far, so the call itself is not done.
            Ok(Err(error)) => {
                return Err(named(match classify(error) {
                    CallFailure::Lost(why) => CallFailure::NotDone(why),
                    other => other,
                }));
            }
            Err(_) => return Err(named(CallFailure::NotDone(hung()))),
        };
        match timeout_at(until, call(client)).await {
            Ok(answer) => answer.map_err(|error| named(classify(error))),
            Err(_) => Err(named(CallFailure::Lost(hung()))),
        }
    }

    /// Prefers the next endpoint, unless another call has changed the preference already.
    fn leave(&self, index: usize, why: &str) {
        let next = (index + 1) % self.endpoints.len();
        let moved = self.preferred.compare_exchange(index, next, Ordering::Relaxed, Ordering::Relaxed);
        if moved.is_ok() && next != index {
            debug!(
                from = self.endpoints[index].url,
                to = self.endpoints[next].url,
                why,
                "etcd endpoint changed"
            );
        }
    }
}
