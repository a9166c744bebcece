//! The lists of meetings and sessions of the servers, asked and read once for all tenants (ADR 28).
//!
//! A part is the list of one server. Requests that begin while a part is under way, or within the
//! interval after it began, use that part. A tenant that has changed something at a server through
//! this edge gets a part that began afterwards, so that its next list shows the change; other
//! tenants may use the older part until its interval ends.

use std::{
    collections::{HashMap, HashSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use prometheus_client::metrics::counter::Counter;
use tokio::time::Instant;
use usher_bbb::call::EveryServerList;
use usher_model::{
    id::{ServerId, TenantId},
    routing::ServerRoute,
};
use usher_runtime::tasks::TaskGroup;

use super::server_answer::AnswerBytes;
use crate::core::merge::{MeetingIndex, SessionIndex};

/// The list of one server.
pub struct ListPart {
    content: ListContent,
    #[expect(dead_code, reason = "held until the list is dropped")]
    bytes: AnswerBytes,
}

enum ListContent {
    /// The answer of `getMeetings`.
    Meetings(MeetingIndex),
    /// The answer of `getSessions`.
    Sessions(SessionIndex),
}

impl std::fmt::Debug for ListPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // the lists contain passwords
        write!(f, "ListPart({} bytes)", self.size())
    }
}

impl ListPart {
    /// Reads an answer, whose bytes in the budget are held as long as the list. Returns `None` if it is no
    /// list.
    pub fn read(list: EveryServerList, text: String, bytes: AnswerBytes) -> Option<Self> {
        let content = match list {
            EveryServerList::Meetings => ListContent::Meetings(MeetingIndex::read(text)?),
            EveryServerList::Sessions => ListContent::Sessions(SessionIndex::read(text)?),
        };
        Some(Self { content, bytes })
    }

    /// Returns the list of meetings, if it is one.
    pub fn meetings(&self) -> Option<&MeetingIndex> {
        if let ListContent::Meetings(list) = &self.content { Some(list) } else { None }
    }

    /// Returns the list of sessions, if it is one.
    pub fn sessions(&self) -> Option<&SessionIndex> {
        if let ListContent::Sessions(list) = &self.content { Some(list) } else { None }
    }

    fn size(&self) -> usize {
        match &self.content {
            ListContent::Meetings(list) => list.size(),
            ListContent::Sessions(list) => list.size(),
        }
    }
}

type PartOutcome = Option<Arc<ListPart>>;
type Flight = Shared<BoxFuture<'static, PartOutcome>>;
type PartKey = (ServerId, EveryServerList);

/// The latest part of one server.
struct PartSlot {
    number: u64,
    begun: Instant,
    /// The address that was asked: the server may get another one.
    url: String,
    /// `None` while the part is under way, else the memory that it takes.
    kept: Option<usize>,
    flight: Flight,
    /// The tenants that have changed something at the server since the part began.
    changed_by: HashSet<TenantId>,
}

#[derive(Default)]
struct PartSlots {
    slots: HashMap<PartKey, PartSlot>,
    kept: usize,
    numbers: u64,
}

/// The parts that are under way or kept; clones share them.
#[derive(Clone)]
pub struct SharedLists {
    parts: Arc<Mutex<PartSlots>>,
    /// The time for which a part is kept after it began; zero means that it is not.
    interval: Duration,
    /// The largest memory of parts that are kept after they have come, bytes. Beyond it a part is
    /// shared only by the requests that wait for it.
    kept_max: usize,
    tasks: TaskGroup,
    shared: Counter,
}

/// The end of a call, which settles its slot in any case.
struct PartEnd {
    lists: SharedLists,
    key: PartKey,
    number: u64,
    part: PartOutcome,
}

impl Drop for PartEnd {
    fn drop(&mut self) {
        self.lists.settle(&self.key, self.number, self.part.as_deref());
    }
}

impl std::fmt::Debug for SharedLists {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SharedLists({:?})", self.interval)
    }
}

impl SharedLists {
    /// Returns an empty set that keeps parts for `interval`, and at most `kept_max` bytes of them.
    /// `shared` counts the calls that were saved.
    pub fn new(interval: Duration, kept_max: usize, tasks: TaskGroup, shared: Counter) -> Self {
        Self { parts: Arc::default(), interval, kept_max, tasks, shared }
    }

    fn lock(&self) -> MutexGuard<'_, PartSlots> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the list of a server for `tenant`: a part that it may use, or one that `fetch` gets
    /// now. If a caller goes away, the call continues for the others. Returns `None` if there is no
    /// list; that is never kept.
    pub async fn part<F>(
        &self,
        server: &ServerRoute,
        list: EveryServerList,
        tenant: &TenantId,
        fetch: impl FnOnce() -> F,
    ) -> PartOutcome
    where
        F: Future<Output = Option<ListPart>> + Send + 'static,
    {
        let flight = self.flight(server, list, tenant, fetch);
        flight.await
    }

    fn flight<F>(
        &self,
        server: &ServerRoute,
        list: EveryServerList,
        tenant: &TenantId,
        fetch: impl FnOnce() -> F,
    ) -> Flight
    where
        F: Future<Output = Option<ListPart>> + Send + 'static,
    {
        let (mut parts, now, key) = (self.lock(), Instant::now(), (server.id.clone(), list));
        if let Some(slot) = parts.slots.get(&key)
            && slot.url == server.url
            && !slot.changed_by.contains(tenant)
            && (slot.kept.is_none() || now.saturating_duration_since(slot.begun) < self.interval)
        {
            self.shared.inc();
            return slot.flight.clone();
        }
        parts.numbers += 1;
        let number = parts.numbers;
        let fetch = fetch();
        let mut end = PartEnd { lists: self.clone(), key: key.clone(), number, part: None };
        // The task waits for the lock before it settles its slot, so the slot is inserted first.
        let task = self.tasks.spawn_short("shared-list", async move {
            end.part = fetch.await.map(Arc::new);
            end.part.clone()
        });
        let flight = task.map(|ended| ended.ok().flatten()).boxed().shared();
        let slot = PartSlot {
            number,
            begun: now,
            url: server.url.clone(),
            kept: None,
            flight: flight.clone(),
            changed_by: HashSet::new(),
        };
        let former = parts.slots.insert(key, slot);
        parts.kept -= former.and_then(|former| former.kept).unwrap_or(0);
        flight
    }

    /// Keeps a part that has come for the rest of its interval, or forgets it.
    fn settle(&self, key: &PartKey, number: u64, part: Option<&ListPart>) {
        let mut parts = self.lock();
        let total = parts.kept;
        let Some(slot) = parts.slots.get_mut(key).filter(|slot| slot.number == number) else { return };
        let until = slot.begun + self.interval;
        let size = part.map(ListPart::size).filter(|size| size + total <= self.kept_max);
        match size.filter(|_| Instant::now() < until) {
            Some(size) => {
                slot.kept = Some(size);
                parts.kept += size;
                drop(parts);
                self.forget_at(until, key.clone(), number);
            }
            None => {
                parts.slots.remove(key);
            }
        }
    }

    fn forget_at(&self, until: Instant, key: PartKey, number: u64) {
        let (all, stop) = (self.clone(), self.tasks.stopping());
        self.tasks.spawn_short("kept-list", async move {
            tokio::select! {
                () = tokio::time::sleep_until(until) => {}
                () = stop.cancelled() => {}
            }
            let mut parts = all.lock();
            if parts.slots.get(&key).is_some_and(|slot| slot.number == number) {
                let kept = parts.slots.remove(&key).and_then(|slot| slot.kept);
                parts.kept -= kept.unwrap_or(0);
            }
        });
    }

    /// Notes that a call of `tenant` has changed something at `server`: a part that began before is
    /// not shown to that tenant any more.
    pub fn changed(&self, server: &ServerId, tenant: &TenantId) {
        let mut parts = self.lock();
        for list in [EveryServerList::Meetings, EveryServerList::Sessions] {
            if let Some(slot) = parts.slots.get_mut(&(server.clone(), list))
                && !slot.changed_by.contains(tenant)
            {
                slot.changed_by.insert(tenant.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;
