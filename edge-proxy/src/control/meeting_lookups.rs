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

type FlightsByKey = HashMap<MeetingKey, KeyFlights>;

/// The lookups of one id.
struct KeyFlights {
    current: Flight,
    /// The lookup that begins when the current one has not found the meeting, for all who came since the
    /// current one began.
    next: Option<Flight>,
}

/// Removes a lookup when it has ended in any way.
struct FlightEntry {
    flights: Arc<Mutex<FlightsByKey>>,
    key: MeetingKey,
    /// Whether the lookup has begun, so that it is the current one.
    has_begun: bool,
}

impl FlightEntry {
    /// Makes the next lookup the current one.
    fn begin(&mut self) {
        let mut flights = lock(&self.flights);
        if let Some(of_key) = flights.get_mut(&self.key)
            && let Some(next) = of_key.next.take()
        {
            of_key.current = next;
        }
        self.has_begun = true;
    }
}

impl Drop for FlightEntry {
    fn drop(&mut self) {
        let mut flights = lock(&self.flights);
        let leads_on = |of_key: &KeyFlights| self.has_begun && of_key.next.is_some();
        if !flights.get(&self.key).is_some_and(leads_on) {
            flights.remove(&self.key);
        }
    }
}

fn lock(flights: &Mutex<FlightsByKey>) -> MutexGuard<'_, FlightsByKey> {
    flights.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The lookups under way; clones share them.
#[derive(Clone)]
pub struct MeetingLookups {
    placement: PlacementClient,
    flights: Arc<Mutex<FlightsByKey>>,
    tasks: TaskGroup,
    shared: Counter,
}

impl std::fmt::Debug for MeetingLookups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MeetingLookups({} under way)", lock(&self.flights).len())
    }
}

impl MeetingLookups {
    /// Returns lookups at `placement`. `shared` counts those that were saved.
    pub fn new(placement: PlacementClient, tasks: TaskGroup, shared: Counter) -> Self {
        Self { placement, flights: Arc::default(), tasks, shared }
    }

    /// Looks a meeting up, at a revision at least as new as the store at the time of the call.
    ///
    /// # Errors
    /// No control plane answers.
    pub async fn find(&self, key: &MeetingKey) -> LookupOutcome {
        self.flight(key).await
    }

    /// Returns a lookup that has not begun yet, or a new one.
    fn flight(&self, key: &MeetingKey) -> Flight {
        let mut flights = lock(&self.flights);
        let is_shared = flights.len() < MOST;
        if let Some(of_key) = flights.get_mut(key) {
            self.shared.inc();
            let current = &of_key.current;
            return of_key.next.get_or_insert_with(|| self.begin(key, Some(current.clone()), true)).clone();
        }
        let flight = self.begin(key, None, is_shared);
        if is_shared {
            flights.insert(key.clone(), KeyFlights { current: flight.clone(), next: None });
        }
        flight
    }

    /// Begins a lookup, or one that begins once `first` has not found the meeting.
    fn begin(&self, key: &MeetingKey, first: Option<Flight>, is_shared: bool) -> Flight {
        let (placement, own) = (self.placement.clone(), key.clone());
        let entry = || FlightEntry {
            flights: Arc::clone(&self.flights),
            key: key.clone(),
            has_begun: first.is_none(),
        };
        // The task waits for the lock before it changes its entry, so the entry is inserted first.
        let mut entry = is_shared.then(entry);
        let task = self.tasks.spawn_short("meeting-lookup", async move {
            if let Some(first) = first {
                let outcome = first.await;
                if !matches!(outcome, Ok(None)) {
                    return outcome;
                }
                if let Some(entry) = &mut entry {
                    entry.begin();
                }
            }
            let resolved = placement.resolve(&own).await.map_err(|error| {
                debug!(%error, "a meeting was not looked up");
                LookupFailure
            });
            drop(entry);
            resolved
        });
        task.map(|ended| ended.unwrap_or(Err(LookupFailure))).boxed().shared()
    }
}
