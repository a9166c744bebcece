//! The watch of a list that the fleet folds. A watcher has no queue: it remembers the revision that
//! it has told, and reads the present values of the keys that changed since.

use std::{collections::BTreeSet, convert::Infallible, time::Duration};

use tokio::time::{sleep, timeout};
use usher_model::revision::Revision;
use usher_proto::v1;
use usher_runtime::clock;

use super::watchers::{WatchEnd, WatchSender, WatchStream, Watchers};
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

    /// Returns the key of a change that concerns the list.
    fn changed(&self, key: &ChangedKey) -> Option<Self::Key>;
    /// Returns the resource name of a key.
    fn name(key: &Self::Key) -> String;
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
        let mut revisions = self.fleet.revisions();
        let mut told = match resume {
            Some(at) => self.resume(at).await?,
            None => self.snapshot().await?,
        };
        let mut spoken = clock::now();
        loop {
            let silent = clock::now().saturating_duration_since(spoken);
            match timeout(HEARTBEAT.saturating_sub(silent), revisions.changed()).await {
                Ok(Ok(())) => sleep(LINGER).await,
                Ok(Err(_)) => return Err(None),
                Err(_) => {}
            }
            revisions.mark_unchanged();
            // Revisions that do not concern the list must not silence the watch.
            let is_due = clock::now().saturating_duration_since(spoken) >= HEARTBEAT;
            let (now, has_spoken) = self.changes(told, is_due).await?;
            told = now;
            if has_spoken {
                spoken = clock::now();
            }
        }
    }

    /// Tells all entries. Their values may be later than the revision that is returned; such changes
    /// are told again.
    async fn snapshot(&self) -> Result<Revision, WatchEnd> {
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
                        entries.push(self.list.show(fleet, &entry));
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
    async fn resume(&self, at: Revision) -> Result<Revision, WatchEnd> {
        if self.fleet.reach(at, REACH_WITHIN).await.is_err() {
            let problem = "this control plane has not reached the revision; try again, or use another one";
            return Err(Some(RpcRefusal::retry("BEHIND", problem)));
        }
        self.changes(at, true).await.map(|(now, _)| now)
    }

    /// Tells the changes since `told`; without any, only if `is_due`. Returns the present revision and
    /// whether a message was sent.
    async fn changes(&self, told: Revision, is_due: bool) -> Result<(Revision, bool), WatchEnd> {
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
                    match self.list.find(fleet, key).filter(|entry| self.filter.admits(entry)) {
                        Some(entry) => entries.push(self.list.show(fleet, &entry)),
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
