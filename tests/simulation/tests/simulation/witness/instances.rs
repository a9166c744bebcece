//! Every meeting that ever ran, and the knowledge about it.

use std::collections::{BTreeMap, BTreeSet};

use tokio::time::Instant;
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::MeetingKey,
};

/// The reason why a meeting has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EndCause {
    /// Its users have left.
    Itself,
    /// Its server restarted without it.
    Crash,
    /// An application's `end` reached the server.
    Application,
    /// A replica's `end` reached the server.
    Balancer(String),
}

/// One meeting on one server.
#[derive(Debug, Clone)]
pub(super) struct TrackedInstance {
    pub(super) key: MeetingKey,
    pub(super) server: ServerId,
    /// A client's create was answered with it.
    pub(super) acknowledged: bool,
    /// A record has named it.
    pub(super) confirmed: bool,
    /// A client requested its end, it was superseded, or an operator abandoned its server.
    pub(super) released: bool,
    /// A newer instance of its id was ended, and the client's request was acknowledged: this
    /// instance, which the newer one had superseded, must end too.
    pub(super) outlived: bool,
    /// The order of instances: a newer one has a higher number.
    pub(super) number: u64,
    /// The time since when neither a record nor a zombie names it.
    pub(super) unknown_since: Option<Instant>,
}

/// The running meetings, by internal id and by key.
#[derive(Debug, Default)]
pub(super) struct TrackedInstances {
    live: BTreeMap<InternalMeetingId, TrackedInstance>,
    by_key: BTreeMap<MeetingKey, BTreeSet<InternalMeetingId>>,
}

impl TrackedInstances {
    pub(super) fn add(&mut self, id: &InternalMeetingId, instance: TrackedInstance) {
        self.by_key.entry(instance.key.clone()).or_default().insert(id.clone());
        self.live.insert(id.clone(), instance);
    }

    pub(super) fn remove(&mut self, id: &InternalMeetingId) -> Option<TrackedInstance> {
        let instance = self.live.remove(id)?;
        if let Some(of_key) = self.by_key.get_mut(&instance.key) {
            of_key.remove(id);
            if of_key.is_empty() {
                self.by_key.remove(&instance.key);
            }
        }
        Some(instance)
    }

    pub(super) fn get(&self, id: &InternalMeetingId) -> Option<&TrackedInstance> {
        self.live.get(id)
    }

    pub(super) fn get_mut(&mut self, id: &InternalMeetingId) -> Option<&mut TrackedInstance> {
        self.live.get_mut(id)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&InternalMeetingId, &TrackedInstance)> {
        self.live.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&InternalMeetingId, &mut TrackedInstance)> {
        self.live.iter_mut()
    }

    pub(super) fn of(
        &self,
        key: &MeetingKey,
    ) -> impl Iterator<Item = (&InternalMeetingId, &TrackedInstance)> {
        let ids = self.by_key.get(key).into_iter().flatten();
        ids.filter_map(|id| Some((id, self.live.get(id)?)))
    }

    /// Changes every instance of a key on a server.
    pub(super) fn change_on(
        &mut self,
        key: &MeetingKey,
        server: &ServerId,
        change: impl Fn(&mut TrackedInstance),
    ) {
        for id in self.by_key.get(key).cloned().unwrap_or_default() {
            if let Some(instance) = self.live.get_mut(&id).filter(|instance| instance.server == *server) {
                change(instance);
            }
        }
    }

    /// Returns the ids that run more than once.
    pub(super) fn doubled(&self) -> impl Iterator<Item = &MeetingKey> {
        self.by_key.iter().filter(|(_, ids)| ids.len() > 1).map(|(key, _)| key)
    }
}
