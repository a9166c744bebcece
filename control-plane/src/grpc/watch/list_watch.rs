//! The watch of a list that the fleet folds. A watcher has no queue: it remembers the revision that
//! it has told, and reads the present values of the keys that changed since.

use std::{
    collections::BTreeSet,
    convert::Infallible,
    time::{Duration, Instant},
};

use tokio::{
    sync::watch,
    time::{sleep, sleep_until},
};
use usher_model::revision::Revision;
use usher_proto::v1;
use usher_runtime::clock;

use super::{
    told_entries::{EntryDigest, ToldEntries, ToldStep},
    watchers::{WatchEnd, WatchSender, WatchStream, Watchers},
};
use crate::{
    core::{change_log::ChangedKey, filter::ListFilter},
    grpc::{list_query::QueriedList, status::RpcRefusal},
    tasks::fleet_handle::{ChangesLost, FleetHandle},
};

/// Entries of one message.
const ENTRIES: usize = 500;
/// Time in which changes are gathered.
const LINGER: Duration = Duration::from_millis(250);
/// Longest time without a message.
const HEARTBEAT: Duration = Duration::from_secs(10);
/// Longest time until this replica reaches the revision at which a watcher resumes.
const REACH_WITHIN: Duration = Duration::from_secs(2);

/// A family of entries that can be watched.
pub(in crate::grpc) trait WatchedList:
    QueriedList<Key: Send + Sync, Shown: Send> + Send + Sync + 'static
{
    /// The message of the stream.
    type Message: Send + 'static;
    /// Whether samples change entries without a revision, so that watchers compare them.
    const SAMPLED: bool;

    /// Returns the key of a change that concerns the list.
    fn changed(&self, key: &ChangedKey) -> Option<Self::Key>;
    /// Returns the resource name of a key.
    fn name(key: &Self::Key) -> String;
    /// Returns a digest of an entry without the parts that change all the time. It is read only of
    /// entries that samples change.
    fn digest(shown: &Self::Shown) -> EntryDigest;
    /// Makes a message.
    fn message(part: WatchedPart<Self::Shown>) -> Self::Message;
}

/// The content of a message.
#[derive(Debug)]
pub(in crate::grpc) struct WatchedPart<T> {
    /// The stage of the watch.
    pub(in crate::grpc) stage: v1::WatchStage,
    /// The revision at which the watcher may resume after this message.
    pub(in crate::grpc) revision: Option<Revision>,
    /// Entries as they are now.
    pub(in crate::grpc) entries: Vec<T>,
    /// Names of entries that are gone, or that the filter does not admit.
    pub(in crate::grpc) removed: Vec<String>,
}

impl Watchers {
    /// Watches a list from `resume`, or from its present entries.
    ///
    /// # Errors
    /// All places are taken.
    pub(in crate::grpc) fn watch<L: WatchedList>(
        &self,
        list: L,
        filter: ListFilter,
        resume: Option<Revision>,
    ) -> Result<WatchStream<L::Message>, RpcRefusal> {
        let fleet = self.fleet.clone();
        self.stream(|sender| async move {
            let watch = ListWatch { fleet, list, filter, sender };
            match watch.run(resume).await {
                Ok(never) => match never {},
                Err(end) => end,
            }
        })
    }
}

struct ListWatch<L: WatchedList> {
    fleet: FleetHandle,
    list: L,
    filter: ListFilter,
    sender: WatchSender<L::Message>,
}

impl<L: WatchedList> ListWatch<L> {
    async fn run(&self, resume: Option<Revision>) -> Result<Infallible, WatchEnd> {
        // Before the first reading, so that no change is missed.
        let (mut revisions, mut samples) = (self.fleet.revisions(), self.fleet.samples());
        let mut known = ToldEntries::new(resume.is_some(), clock::now());
        let mut told = match resume {
            Some(at) => self.resume(at, &mut known).await?,
            None => self.snapshot(&mut known).await?,
        };
        let mut spoken = clock::now();
        loop {
            let beat = spoken + HEARTBEAT;
            let until = if L::SAMPLED { beat.min(known.due()) } else { beat };
            match wake(&mut revisions, &mut samples, until, L::SAMPLED && known.awaits_sample()).await? {
                WatchCause::Revision => sleep(LINGER).await,
                WatchCause::Sample => {
                    known.sampled();
                    continue;
                }
                WatchCause::Time => {}
            }
            revisions.mark_unchanged();
            // Revisions that do not concern the list must not silence the watch.
            let now = clock::now();
            let is_due = now.saturating_duration_since(spoken) >= HEARTBEAT;
            let compares = L::SAMPLED && known.due() <= now;
            let (at, has_spoken) = self.changes(told, is_due && !compares, &mut known).await?;
            told = at;
            let has_compared = compares && self.compare(told, is_due && !has_spoken, &mut known).await?;
            if has_spoken || has_compared {
                spoken = clock::now();
            }
        }
    }

    /// Tells the entries that are not as the reader knows them, although no revision changed them;
    /// without any, only a sign of life if `is_due`. Returns whether a message was sent.
    async fn compare(
        &self,
        told: Revision,
        is_due: bool,
        known: &mut ToldEntries<L::Key>,
    ) -> Result<bool, WatchEnd> {
        let (mut after, mut has_spoken): (Option<L::Key>, bool) = (None, false);
        let begun = clock::now();
        loop {
            let (mut entries, mut removed, mut examined, mut last) = (Vec::new(), Vec::new(), 0, None);
            self.fleet.read(|fleet| {
                for entry in self.list.after(fleet, after.as_ref()).take(ENTRIES) {
                    let key = L::key(&entry);
                    let shown = self.filter.admits(&entry).then(|| self.list.show(fleet, &entry));
                    match (known.tell(key, shown.as_ref().map(L::digest)), shown) {
                        (ToldStep::Tell, Some(shown)) => entries.push(shown),
                        (ToldStep::Remove, _) => removed.push(L::name(key)),
                        _ => {}
                    }
                    examined += 1;
                    last = Some(key.clone());
                }
            });
            let is_last = examined < ENTRIES;
            if !entries.is_empty() || !removed.is_empty() || is_last && is_due && !has_spoken {
                // The reader may resume at the revision that it has: later changes are told again.
                let (stage, revision) = (v1::WatchStage::Changes, Some(told));
                self.sender.send(L::message(WatchedPart { stage, revision, entries, removed })).await?;
                has_spoken = true;
            }
            if is_last {
                known.compared(begun);
                return Ok(has_spoken);
            }
            after = last;
            tokio::task::yield_now().await;
        }
    }

    /// Tells all entries. Their values may be later than the revision that is returned; such changes
    /// are told again.
    async fn snapshot(&self, known: &mut ToldEntries<L::Key>) -> Result<Revision, WatchEnd> {
        let at = self.fleet.revision();
        let mut after: Option<L::Key> = None;
        loop {
            let (mut entries, mut examined, mut last) = (Vec::new(), 0, None);
            self.fleet.read(|fleet| {
                let mut is_ended = true;
                let mut latest = None;
                for entry in self.list.after(fleet, after.as_ref()) {
                    if examined == ENTRIES {
                        is_ended = false;
                        break;
                    }
                    examined += 1;
                    if self.filter.admits(&entry) {
                        let shown = self.list.show(fleet, &entry);
                        Self::note(known, L::key(&entry), Some(&shown));
                        entries.push(shown);
                    }
                    latest = Some(entry);
                }
                last = latest.filter(|_| !is_ended).map(|entry| L::key(&entry).clone());
            });
            let is_last = last.is_none();
            let stage = if is_last { v1::WatchStage::SnapshotEnd } else { v1::WatchStage::Snapshot };
            let revision = is_last.then_some(at);
            if is_last || !entries.is_empty() {
                let part = WatchedPart { stage, revision, entries, removed: Vec::new() };
                self.sender.send(L::message(part)).await?;
            }
            if is_last {
                return Ok(at);
            }
            after = last;
            tokio::task::yield_now().await;
        }
    }

    /// Tells the changes since a revision that another stream told.
    async fn resume(&self, at: Revision, known: &mut ToldEntries<L::Key>) -> Result<Revision, WatchEnd> {
        if self.fleet.reach(at, REACH_WITHIN).await.is_err() {
            let problem = "this control plane has not reached the revision; try again, or use another one";
            return Err(Some(RpcRefusal::retry("BEHIND", problem)));
        }
        self.changes(at, true, known).await.map(|(now, _)| now)
    }

    /// Notes that an entry is told, if entries are compared.
    fn note(known: &mut ToldEntries<L::Key>, key: &L::Key, shown: Option<&L::Shown>) {
        if L::SAMPLED {
            known.tell(key, shown.map(L::digest));
        }
    }

    /// Tells the changes since `told`; without any, only if `is_due`. Returns the present revision and
    /// whether a message was sent.
    async fn changes(
        &self,
        told: Revision,
        is_due: bool,
        known: &mut ToldEntries<L::Key>,
    ) -> Result<(Revision, bool), WatchEnd> {
        let mut keys = BTreeSet::new();
        let gather = |key: &ChangedKey| keys.extend(self.list.changed(key));
        let now = self.fleet.changes_since(told, gather).map_err(|lost| Some(refusal(lost)))?;
        let keys: Vec<L::Key> = keys.into_iter().collect();
        if keys.is_empty() && !is_due {
            // The revision is told with the next message.
            return Ok((now, false));
        }
        let mut chunks = keys.chunks(ENTRIES).peekable();
        loop {
            let chunk = chunks.next().unwrap_or_default();
            let (mut entries, mut removed) = (Vec::new(), Vec::new());
            self.fleet.read(|fleet| {
                for key in chunk {
                    let entry = self.list.find(fleet, key).filter(|entry| self.filter.admits(entry));
                    let shown = entry.map(|entry| self.list.show(fleet, &entry));
                    Self::note(known, key, shown.as_ref());
                    match shown {
                        Some(shown) => entries.push(shown),
                        None => removed.push(L::name(key)),
                    }
                }
            });
            let is_last = chunks.peek().is_none();
            let (stage, revision) = (v1::WatchStage::Changes, is_last.then_some(now));
            self.sender.send(L::message(WatchedPart { stage, revision, entries, removed })).await?;
            if is_last {
                return Ok((now, true));
            }
        }
    }
}

/// The event that wakes a watcher.
enum WatchCause {
    /// The fleet has another revision.
    Revision,
    /// A sample arrived without a revision.
    Sample,
    /// The time has come.
    Time,
}

/// Waits for a revision, until a time, and for a sample if `awaits_samples`.
async fn wake(
    revisions: &mut watch::Receiver<Revision>,
    samples: &mut watch::Receiver<()>,
    until: Instant,
    awaits_samples: bool,
) -> Result<WatchCause, WatchEnd> {
    tokio::select! {
        changed = revisions.changed() => changed.map(|()| WatchCause::Revision).map_err(|_| None),
        changed = samples.changed(), if awaits_samples => changed.map(|()| WatchCause::Sample).map_err(|_| None),
        () = sleep_until(until.into()) => Ok(WatchCause::Time),
    }
}

fn refusal(lost: ChangesLost) -> RpcRefusal {
    match lost {
        ChangesLost::OtherEpoch => RpcRefusal::Outdated {
            reason: "OTHER_EPOCH",
            problem: "the store lost its past since that revision; watch again without `resume`".into(),
        },
        ChangesLost::Forgotten => RpcRefusal::Outdated {
            reason: "REVISION_FORGOTTEN",
            problem: "the changes since that revision are forgotten; watch again without `resume`".into(),
        },
    }
}
