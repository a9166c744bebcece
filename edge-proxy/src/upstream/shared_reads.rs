//! Shared reads: identical reads at the same time become one call to the server.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use prometheus_client::metrics::counter::Counter;
use usher_bbb::call::ApiCall;
use usher_model::id::ServerId;
use usher_runtime::tasks::TaskGroup;

use super::{ServerCallError, SharedAnswer};
use crate::core::evidence::FailureKind;

/// The limit of reads that are shared at one time. Further reads are made separately.
const MOST: usize = 1024;

type ReadOutcome = Result<SharedAnswer, ServerCallError>;
type Flight = Shared<BoxFuture<'static, ReadOutcome>>;

/// The properties that make two reads identical.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReadKey {
    server: ServerId,
    call: ApiCall,
    parameters: String,
}

/// The reads under way; clones share them.
#[derive(Debug, Clone)]
pub struct SharedReads {
    flights: Arc<Mutex<HashMap<ReadKey, (u64, Flight)>>>,
    tasks: TaskGroup,
    shared: Counter,
}

impl SharedReads {
    /// Returns an empty set. `shared` counts the calls that were saved.
    pub fn new(tasks: TaskGroup, shared: Counter) -> Self {
        Self { flights: Arc::default(), tasks, shared }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<ReadKey, (u64, Flight)>> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Joins the same read that is under way, or starts it with `fetch`. If a caller goes away, the
    /// call continues for the others.
    ///
    /// # Errors
    /// The errors of `fetch`.
    pub async fn read<F>(
        &self,
        server: &ServerId,
        call: ApiCall,
        parameters: &str,
        fetch: impl FnOnce() -> F,
    ) -> ReadOutcome
    where
        F: Future<Output = ReadOutcome> + Send + 'static,
    {
        let key = ReadKey { server: server.clone(), call, parameters: parameters.to_owned() };
        let flight = self.flight(key, fetch);
        flight.await
    }

    fn flight<F>(&self, key: ReadKey, fetch: impl FnOnce() -> F) -> Flight
    where
        F: Future<Output = ReadOutcome> + Send + 'static,
    {
        let mut flights = self.lock();
        if let Some((_, flight)) = flights.get(&key) {
            self.shared.inc();
            return flight.clone();
        }
        if flights.len() >= MOST {
            return fetch().boxed().shared();
        }
        let number = rand::random();
        let (fetch, all, own) = (fetch(), self.clone(), key.clone());
        // The task waits for the lock before it removes its entry, so the entry is inserted first.
        let task = self.tasks.spawn_short("shared-read", async move {
            let outcome = fetch.await;
            all.forget(&own, number);
            outcome
        });
        let flight = task
            .map(|ended| ended.unwrap_or(Err(ServerCallError::Unknown(FailureKind::BadAnswer))))
            .boxed()
            .shared();
        flights.insert(key, (number, flight.clone()));
        flight
    }

    fn forget(&self, key: &ReadKey, number: u64) {
        let mut flights = self.lock();
        if flights.get(key).is_some_and(|(current, _)| *current == number) {
            flights.remove(key);
        }
    }

    /// Prevents later reads of `server` from joining reads that began before now, because a call
    /// has changed something there.
    pub fn changed(&self, server: &ServerId) {
        self.lock().retain(|key, _| key.server != *server);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;
    use usher_bbb::parse;

    use super::*;
    use crate::upstream::{ServerAnswer, server_answer::AnswerBytes};

    fn answer() -> SharedAnswer {
        let text = "<response><returncode>SUCCESS</returncode></response>".to_owned();
        Arc::new(ServerAnswer {
            outcome: parse::outcome(&text).unwrap(),
            text,
            bytes: AnswerBytes::default(),
        })
    }

    #[tokio::test]
    async fn reads_at_the_same_time_are_one_call_and_later_ones_another() {
        let reads = SharedReads::new(TaskGroup::new(), Counter::default());
        let server = ServerId::parse("a").unwrap();
        let (calls, gate) = (Arc::new(AtomicU32::new(0)), Arc::new(Notify::new()));
        let read = |parameters: &'static str| {
            let (calls, gate) = (Arc::clone(&calls), Arc::clone(&gate));
            reads.read(&server, ApiCall::GetMeetingInfo, parameters, move || async move {
                calls.fetch_add(1, Ordering::SeqCst);
                gate.notified().await;
                Ok(answer())
            })
        };
        let mut together =
            futures::future::join_all((0..50).map(|_| read("meetingID=a")).collect::<Vec<_>>());
        assert!(futures::poll!(&mut together).is_pending());
        tokio::task::yield_now().await;
        gate.notify_one();
        assert!(together.await.iter().all(Result::is_ok));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        gate.notify_one();
        read("meetingID=a").await.unwrap();
        assert_eq!(calls.load(Ordering::SeqCst), 2);
        assert!(reads.lock().is_empty());
    }

    #[tokio::test]
    async fn after_a_change_no_request_joins_an_older_read() {
        let reads = SharedReads::new(TaskGroup::new(), Counter::default());
        let server = ServerId::parse("a").unwrap();
        let gate = Arc::new(Notify::new());
        let held = Arc::clone(&gate);
        let mut old = Box::pin(reads.read(&server, ApiCall::GetMeetingInfo, "m", move || async move {
            held.notified().await;
            Err(ServerCallError::Unknown(FailureKind::Timeout))
        }));
        assert!(futures::poll!(&mut old).is_pending());
        reads.changed(&server);
        let new = reads.read(&server, ApiCall::GetMeetingInfo, "m", || async { Ok(answer()) }).await;
        assert!(new.is_ok());
        gate.notify_one();
        assert!(old.await.is_err());
    }
}
