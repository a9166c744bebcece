//! A listing of the store, taken in part by part: a part becomes entries of the fleet while the
//! store sends the next one.

use usher_runtime::clock;

use super::{unreadable_values, witnesses};
use crate::{
    core::{epoch::Epoch, fleet::Fleet, plan::FleetEvent, unpolled::EpochAge},
    ports::StoreEntry,
    store::{
        codec::{SharedIds, StoreCodec},
        keys::{AWAITED, HISTORY_KEY, META},
    },
    tasks::fleet_handle::FleetHandle,
};

/// Number of entries that are taken in without a pause for other tasks.
const AT_ONCE: usize = 4_096;

/// A listing of the store at one revision.
pub(super) struct FleetListing {
    epoch: Epoch,
    pub(super) revision: u64,
    /// Whether the key that began the epoch is listed. If it is not, another epoch has begun.
    pub(super) is_of_epoch: bool,
    pub(super) age: EpochAge,
    ids: SharedIds,
    /// The number of entries of the fleet.
    pub(super) count: usize,
    /// The entries about a loss of the store.
    pub(super) witnesses: Vec<StoreEntry>,
    pub(super) content: ListedContent,
}

/// The entries of the fleet.
pub(super) enum ListedContent {
    /// The entries, to be compared with the fleet of the same epoch.
    Known(Vec<FleetEvent>),
    /// The fleet of another epoch.
    New(Box<Fleet>),
}

impl FleetListing {
    /// Begins a listing at `revision`, of the epoch that `fleet` knows or of another one.
    pub(super) fn begin(epoch: Epoch, revision: u64, fleet: &FleetHandle) -> Self {
        let is_known = fleet.complete() && fleet.read(Fleet::epoch) == epoch;
        let new = || ListedContent::New(Box::new(fleet.empty_fleet(epoch, revision)));
        let content = if is_known { ListedContent::Known(Vec::new()) } else { new() };
        let (age, ids, witnesses) = (EpochAge::Old, SharedIds::default(), Vec::new());
        Self { epoch, revision, is_of_epoch: false, age, ids, count: 0, witnesses, content }
    }

    /// Takes in the next entries.
    pub(super) async fn take(&mut self, entries: &[StoreEntry], codec: &StoreCodec) {
        for some in entries.chunks(AT_ONCE) {
            self.note(some);
            let (events, bad) = codec.events(some, &mut self.ids);
            bad.iter().for_each(unreadable_values::report);
            self.count += events.len();
            match &mut self.content {
                ListedContent::Known(known) => known.extend(events),
                ListedContent::New(fleet) => drop(fleet.apply(self.revision, events, clock::now())),
            }
            tokio::task::yield_now().await;
        }
    }

    fn note(&mut self, entries: &[StoreEntry]) {
        for entry in entries {
            self.is_of_epoch |= entry.key == META && entry.mod_revision == self.epoch.begun;
            if witnesses::is_young(entry, self.epoch) {
                self.age = EpochAge::Young;
            }
            if entry.key == AWAITED || entry.key == HISTORY_KEY {
                self.witnesses.push(entry.clone());
            }
        }
    }
}
