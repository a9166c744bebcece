//! The lookup of a meeting's current server.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_model::{
    meeting::{MeetingKey, MeetingRecord},
    revision::Revision,
    routing::ServerRoute,
};
use usher_runtime::clock;

use crate::{
    core::{
        fleet::{Fleet, server_route},
        health::health_of,
        plan::{FleetEvent, FleetKey},
    },
    ports::{KeyChange, Store, StoreError},
    store::{codec::StoreCodec, keys},
    tasks::{fleet_handle::FleetHandle, revision_reader::RevisionReader},
};

/// Time in which the fleet applies the revision that the store had at the request. If other
/// programs write to the store too, that revision may never reach the fleet; the meeting is then
/// read from the store itself.
const SEE_WITHIN: Duration = Duration::from_millis(300);

/// A meeting by its own id, with its record, and its server as edges see it.
#[derive(Debug, Clone, PartialEq)]
pub struct ResolvedRecord {
    /// The meeting, by its own id even if its internal id was looked up.
    pub key: MeetingKey,
    /// The meeting's record.
    pub record: MeetingRecord,
    /// The meeting's server, if it has an entry.
    pub server: Option<ServerRoute>,
}

/// A meeting at the time of the request or later.
#[derive(Debug, Clone, PartialEq)]
pub struct MeetingLookup {
    /// The meeting, if it has a record.
    pub found: Option<ResolvedRecord>,
    /// Revision of the fleet that answered.
    pub revision: Revision,
}

/// Looks meetings up in a fleet that is at least as new as the store was at the request.
#[derive(Clone)]
pub struct MeetingResolver {
    fleet: FleetHandle,
    revisions: RevisionReader,
    store: Arc<dyn Store>,
    codec: Arc<StoreCodec>,
}

impl MeetingResolver {
    /// Returns a resolver that uses `fleet`, and `store` if the fleet is too old.
    pub fn new(
        fleet: FleetHandle,
        revisions: RevisionReader,
        store: Arc<dyn Store>,
        codec: Arc<StoreCodec>,
    ) -> Self {
        Self { fleet, revisions, store, codec }
    }

    /// Looks a meeting up by its own id, and then by its internal id, as edges do in their tables.
    ///
    /// # Errors
    /// The store is unreachable, so that the absence of a record would be a guess.
    pub async fn resolve(
        &self,
        key: &MeetingKey,
        deadline: Instant,
    ) -> Result<MeetingLookup, Arc<StoreError>> {
        let epoch = self.fleet.revision().epoch;
        let newest = Revision::new(epoch, self.revisions.read().await?);
        let patience = deadline.saturating_duration_since(clock::now()).min(SEE_WITHIN);
        let seen = self.fleet.reach(newest, patience).await.is_ok();
        let found = if seen {
            self.fleet.read(|fleet| known(fleet, key).or_else(|| by_instance(fleet, key)))
        } else {
            match self.read(key).await? {
                Some(found) => Some(found),
                // The store has no index of internal ids. The fleet has waited for its newest writes.
                None => self.fleet.read(|fleet| by_instance(fleet, key)),
            }
        };
        // The revision is read after the record, so that its epoch is not older than the record's.
        Ok(MeetingLookup { found, revision: self.fleet.read(Fleet::revision) })
    }

    /// Reads a meeting from the store, and its server too: a server that is online again would
    /// still be offline in this fleet.
    async fn read(&self, key: &MeetingKey) -> Result<Option<ResolvedRecord>, Arc<StoreError>> {
        let Some(FleetEvent::Record(_, Some(record))) = self.event(FleetKey::Record(key.clone())).await?
        else {
            return Ok(None);
        };
        let id = &record.value.server;
        let described = self.event(FleetKey::Server(id.clone()));
        let judged = self.event(FleetKey::Health(id.clone()));
        let (described, judged) = tokio::try_join!(described, judged)?;
        let health = match judged {
            Some(FleetEvent::Health(_, stored)) => stored.map(|stored| stored.value),
            _ => None,
        };
        let health = self.fleet.read(|fleet| health_of(health.as_ref(), fleet.policy()));
        let server = match described {
            Some(FleetEvent::Server(_, Some(stored))) => Some(server_route(&stored.value, health)),
            _ => None,
        };
        Ok(Some(ResolvedRecord { key: key.clone(), record: record.value, server }))
    }

    /// Reads the value of a key; an unreadable value counts as absent, as in the fleet.
    async fn event(&self, key: FleetKey) -> Result<Option<FleetEvent>, Arc<StoreError>> {
        let path = keys::path(&key);
        let listing = self.store.read_prefix(&path).await.map_err(Arc::new)?;
        let entry = listing.entries.into_iter().find(|entry| entry.key == path);
        Ok(entry.and_then(|entry| self.codec.event(&KeyChange::Put(entry)).ok().flatten()))
    }
}

fn known(fleet: &Fleet, key: &MeetingKey) -> Option<ResolvedRecord> {
    let record = fleet.record(key)?.value.clone();
    let server = fleet.routing().server(&record.server).cloned();
    Some(ResolvedRecord { key: key.clone(), record, server })
}

/// Returns the meeting whose internal id is given in the place of its own.
fn by_instance(fleet: &Fleet, given: &MeetingKey) -> Option<ResolvedRecord> {
    let (key, _) = fleet.record_of_instance(&given.tenant, given.meeting.as_str())?;
    known(fleet, key)
}

#[cfg(test)]
mod tests {
    use usher_model::{meeting::RecordState, server::Health};
    use usher_runtime::tasks::TaskGroup;

    use super::*;
    use crate::{
        core::{
            epoch::Epoch,
            plan::{Plan, PlanWrite, Stored},
            policy::Policy,
            testkit::{health, iid, key, server, sid},
        },
        store::embedded::EmbeddedStore,
    };

    fn stored<T>(value: T) -> Option<Stored<T>> {
        Some(Stored { value, created: 1, modified: 1 })
    }

    #[tokio::test]
    async fn i13_a_replica_that_is_behind_reports_a_returned_server_as_online() {
        let store: Arc<dyn Store> = Arc::new(EmbeddedStore::open(None).unwrap());
        let codec = Arc::new(StoreCodec::new());
        let record = MeetingRecord {
            state: RecordState::Active { internal_id: iid("m-1"), create_time_ms: 1 },
            server: sid("a"),
            token: "t".into(),
            request_digest: Box::default(),
            created_at_ms: 0,
            max_users: 0,
            size_hint: 0,
            voice_bridge: None,
            breakout: false,
            unanswered: false,
        };
        let writes = vec![
            PlanWrite::server(server("a")),
            PlanWrite::Health(sid("a"), health(9, 0)),
            PlanWrite::Record(key("m"), record.clone()),
        ];
        store.commit(vec![codec.txn(&Plan { guards: Vec::new(), writes }, None)]).await.unwrap();
        let fleet = FleetHandle::new(Policy::default());
        let offline = FleetEvent::Health(sid("a"), stored(health(0, 99)));
        let then = vec![FleetEvent::Server(sid("a"), stored(server("a"))), offline];
        fleet.restart_at(Epoch { number: 7, begun: 0 }, 0, then);
        assert_eq!(fleet.read(|fleet| fleet.routing().server(&sid("a")).unwrap().health), Health::Offline);

        let revisions = RevisionReader::new(store.clone(), TaskGroup::new(), Duration::from_secs(5));
        let resolver = MeetingResolver::new(fleet, revisions, store, codec);
        let resolved = resolver.resolve(&key("m"), clock::now() + Duration::from_secs(5)).await.unwrap();
        let found = resolved.found.unwrap();
        assert_eq!((found.record, found.server.unwrap().health), (record, Health::Online));
    }
}
