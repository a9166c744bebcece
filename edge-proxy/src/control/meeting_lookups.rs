//! Lookups of meetings at the control planes (`ResolveMeeting`), at most one at a time for each id.
//!
//! A lookup answers for every request that waits for it, as far as it is right for them: a meeting that it
//! has found, or that no control plane answers. That it has *not* found the meeting proves something only to
//! requests that came before it began, because the meeting may have been created since. The others begin one
//! more lookup together.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use prometheus_client::metrics::counter::Counter;
use tracing::debug;
use usher_model::meeting::MeetingKey;
use usher_runtime::tasks::TaskGroup;

use super::placement::{PlacementClient, ResolvedMeeting};

/// The limit of lookups that are shared at one time. Further ones are made separately.
const MOST: usize = 1024;

/// No control plane has answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("no control plane answers")]
pub struct LookupFailure;

type LookupOutcome = Result<Option<ResolvedMeeting>, LookupFailure>;
type Flight = Shared<BoxFuture<'static, LookupOutcome>>;

#[derive(Default)]
struct LookupFlights {
    /// Grows with each arrival and each beginning of a lookup.
    clock: u64,
    under_way: HashMap<MeetingKey, (u64, Flight)>,
}

/// Removes a lookup when it has ended in any way.
struct FlightEntry {
    flights: Arc<Mutex<LookupFlights>>,
    key: MeetingKey,
}

impl Drop for FlightEntry {
    fn drop(&mut self) {
        let mut flights = self.flights.lock().unwrap_or_else(PoisonError::into_inner);
        flights.under_way.remove(&self.key);
    }
}

/// The lookups under way; clones share them.
#[derive(Clone)]
pub struct MeetingLookups {
    placement: PlacementClient,
    flights: Arc<Mutex<LookupFlights>>,
    tasks: TaskGroup,
    shared: Counter,
}

impl std::fmt::Debug for MeetingLookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeetingLookups({} under way)", self.lock().under_way.len())
    }
}

impl MeetingLookups {
    /// Returns lookups at `placement`. `shared` counts those that were saved.
    pub fn new(placement: PlacementClient, tasks: TaskGroup, shared: Counter) -> Self {
        Self { placement, flights: Arc::default(), tasks, shared }
    }

    fn lock(&self) -> MutexGuard<'_, LookupFlights> {
        self.flights.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks a meeting up, at a revision at least as new as the store at the time of the call.
    ///
    /// # Errors
    /// No control plane answers.
    pub async fn find(&self, key: &MeetingKey) -> LookupOutcome {
        let arrived = {
            let mut flights = self.lock();
            flights.clock += 1;
            flights.clock
        };
        loop {
            let (began, flight) = self.flight(key);
            let outcome = flight.await;
            if began < arrived && matches!(outcome, Ok(None)) {
                continue;
            }
            return outcome;
        }
    }

    /// Returns the lookup of a meeting that is under way, or a new one, with the time at which it began.
    fn flight(&self, key: &MeetingKey) -> (u64, Flight) {
        let mut flights = self.lock();
        if let Some((began, flight)) = flights.under_way.get(key) {
            self.shared.inc();
            return (*began, flight.clone());
        }
        flights.clock += 1;
        let began = flights.clock;
        let (placement, own) = (self.placement.clone(), key.clone());
        let is_shared = flights.under_way.len() < MOST;
        let entry = is_shared.then(|| FlightEntry { flights: Arc::clone(&self.flights), key: key.clone() });
        // The task waits for the lock before it removes its entry, so the entry is inserted first.
        let task = self.tasks.spawn_short("meeting-lookup", async move {
            let _entry = entry;
            placement.resolve(&own).await.map_err(|error| {
                debug!(%error, "a meeting was not looked up");
                LookupFailure
            })
        });
        let flight = task.map(|ended| ended.unwrap_or(Err(LookupFailure))).boxed().shared();
        if is_shared {
            flights.under_way.insert(key.clone(), (began, flight.clone()));
        }
        (began, flight)
    }
}
