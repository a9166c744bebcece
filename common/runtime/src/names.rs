//! Host names and their addresses. Answers are kept for as long as their TTL says, and an answer
//! that has just expired serves on while it is refreshed, so that no call waits for a name that is
//! in use (ADR 30). A literal address needs no resolver: the clients never ask for one.

mod cache;
mod lookup;
mod routable;
mod system;

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use self::cache::{CachedAnswer, NameCache};
pub use self::{
    lookup::{Addresses, FoundAddresses, NameError, NameLookup},
    system::SystemNames,
};
use crate::{clock, tasks::TaskGroup};

/// The longest time for one lookup, with all its attempts.
const LOOKUP_WITHIN: Duration = Duration::from_secs(5);
/// The wait for a refreshed answer before the expired one is used.
const REFRESH_GRACE: Duration = Duration::from_millis(100);
/// The largest number of lookups under way.
const LOOKUPS: usize = 256;

type LookupResult = Result<Addresses, NameError>;

/// Resolves names; clones share the cache.
#[derive(Clone)]
pub struct NameResolver(Arc<SharedResolver>);

struct SharedResolver {
    source: Arc<dyn NameLookup>,
    state: Arc<Mutex<ResolverState>>,
    /// The lookups under way. Each ends at its deadline, or with this resolver.
    tasks: TaskGroup,
}

#[derive(Default)]
struct ResolverState {
    cache: NameCache,
    under_way: HashMap<String, watch::Receiver<Option<LookupResult>>>,
}

impl Drop for SharedResolver {
    fn drop(&mut self) {
        self.tasks.stop();
    }
}

impl fmt::Debug for NameResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NameResolver")
    }
}

/// Removes a lookup from those under way when its task ends in any way.
struct LookupUnderWay {
    state: Arc<Mutex<ResolverState>>,
    name: String,
}

impl Drop for LookupUnderWay {
    fn drop(&mut self) {
        lock(&self.state).under_way.remove(&self.name);
    }
}

impl NameResolver {
    /// Returns a resolver by the configuration of this machine.
    pub fn system() -> Self {
        Self::new(Arc::new(SystemNames::default()))
    }

    /// Returns a resolver by `source`.
    pub fn new(source: Arc<dyn NameLookup>) -> Self {
        Self(Arc::new(SharedResolver { source, state: Arc::default(), tasks: TaskGroup::new() }))
    }

    /// Returns the addresses of a name.
    ///
    /// # Errors
    /// The name has none, or they were not found in time.
    pub async fn resolve(&self, name: &str) -> LookupResult {
        let name = name.to_ascii_lowercase();
        let answer = lock(&self.0.state).cache.get(&name, clock::now());
        match answer {
            CachedAnswer::Valid(addresses) | CachedAnswer::Expired { addresses, refresh: false } => {
                Ok(addresses)
            }
            CachedAnswer::Failed(error) => Err(error),
            CachedAnswer::Expired { addresses, refresh: true } => {
                let refreshed = tokio::time::timeout(REFRESH_GRACE, self.look_up(name)).await;
                match refreshed {
                    Ok(Ok(addresses)) => Ok(addresses),
                    Ok(Err(NameError::NotFound)) => Err(NameError::NotFound),
                    Ok(Err(_)) | Err(_) => Ok(addresses),
                }
            }
            CachedAnswer::Unknown => self.look_up(name).await,
        }
    }

    /// Waits for the lookup of a name that is under way, or begins it. The lookup is a task of its
    /// own: it goes on if this caller goes away, because others may wait for it.
    async fn look_up(&self, name: String) -> LookupResult {
        let mut result = self.begin(name)?;
        let found = result.wait_for(Option::is_some).await.ok().and_then(|found| found.clone());
        found.unwrap_or_else(|| Err(NameError::Failed("the lookup was given up".into())))
    }

    fn begin(&self, name: String) -> Result<watch::Receiver<Option<LookupResult>>, NameError> {
        let mut state = lock(&self.0.state);
        if let Some(result) = state.under_way.get(&name) {
            return Ok(result.clone());
        }
        if state.under_way.len() >= LOOKUPS {
            return Err(NameError::Busy);
        }
        let (sender, result) = watch::channel(None);
        state.under_way.insert(name.clone(), result.clone());
        drop(state);
        let under_way = LookupUnderWay { state: Arc::clone(&self.0.state), name };
        let (source, stopping) = (Arc::clone(&self.0.source), self.0.tasks.stopping());
        self.0.tasks.spawn_short("name lookup", async move {
            let name = &under_way.name;
            let looked_up = tokio::select! {
                () = stopping.cancelled() => return,
                looked_up = tokio::time::timeout(LOOKUP_WITHIN, source.lookup(name)) => looked_up,
            };
            let found = looked_up.unwrap_or(Err(NameError::Timeout));
            let found = lock(&under_way.state).cache.put(name, found, clock::now());
            drop(under_way);
            let _ = sender.send(Some(found)); // fails only if every caller has gone away
        });
        Ok(result)
    }
}

fn lock(state: &Mutex<ResolverState>) -> MutexGuard<'_, ResolverState> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
