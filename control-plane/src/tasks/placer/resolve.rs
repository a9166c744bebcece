//! "Where does this meeting live, as of now?"

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use usher_common::{
    meeting::{MeetingKey, Record},
    revision::Revision,
    routing::ServerRoute,
    runtime::clock,
};

use crate::{
    core::plan::{Event, Key},
    ports::{Change, Store, StoreError},
    store::{codec::Codec, keys},
    tasks::{fleet_handle::FleetHandle, revision_reader::RevisionReader},
};

/// Time in which the fleet sees what the store had when asked. When the store counts revisions of
/// others too, there may be nothing to see, and the record itself is read.
const SEE_WITHIN: Duration = Duration::from_millis(300);

/// A meeting as it stood when asked, or later.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// Its record and server, if there is one.
    pub found: Option<(Record, Option<ServerRoute>)>,
    /// Revision of the fleet that answered.
    pub revision: Revision,
}

/// Looks meetings up in a fleet at least as new as the store was when asked.
#[derive(Clone)]
pub struct Resolver {
    fleet: FleetHandle,
    revisions: RevisionReader,
    store: Arc<dyn Store>,
    codec: Arc<Codec>,
}

impl Resolver {
    /// Resolves by `fleet`, and by `store` where that is not enough.
    pub fn new(
        fleet: FleetHandle,
        revisions: RevisionReader,
        store: Arc<dyn Store>,
        codec: Arc<Codec>,
    ) -> Self {
        Self { fleet, revisions, store, codec }
    }

    /// Finds a meeting.
    ///
    /// # Errors
    /// The store cannot be asked, so that "there is none" would be a guess.
    pub async fn resolve(&self, key: &MeetingKey, deadline: Instant) -> Result<Resolved, Arc<StoreError>> {
        let epoch = self.fleet.revision().epoch;
        let newest = Revision::new(epoch, self.revisions.read().await?);
        let patience = deadline.saturating_duration_since(clock::now()).min(SEE_WITHIN);
        let seen = self.fleet.reach(newest, patience).await.is_ok();
        let record = if seen { self.fleet.read(|fleet| known(fleet, key)) } else { self.read(key).await? };
        Ok(self.fleet.read(|fleet| Resolved {
            found: record.map(|record| {
                let server = fleet.routing().server(&record.server).cloned();
                (record, server)
            }),
            revision: fleet.revision(),
        }))
    }

    async fn read(&self, key: &MeetingKey) -> Result<Option<Record>, Arc<StoreError>> {
        let path = keys::path(&Key::Record(key.clone()));
        let listing = self.store.read_prefix(&path).await.map_err(Arc::new)?;
        let Some(entry) = listing.entries.into_iter().find(|entry| entry.key == path) else {
            return Ok(None);
        };
        match self.codec.event(&Change::Put(entry)) {
            Ok(Some(Event::Record(_, stored))) => Ok(stored.map(|stored| stored.value)),
            _ => Ok(None), // a value that cannot be read counts as absent, as in the fleet
        }
    }
}

fn known(fleet: &crate::core::fleet::Fleet, key: &MeetingKey) -> Option<Record> {
    fleet.record(key).map(|stored| stored.value.clone())
}
