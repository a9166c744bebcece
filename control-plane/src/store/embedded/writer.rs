//! The one thread that writes. It takes the waiting jobs, decides them in order and makes them
//! durable by one transaction of the file; only then does it publish the new revision and answer
//! the jobs. It also removes the election keys whose leases ran out.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, timeout_at},
};
use tracing::{error, info};
use usher_model::revision::FencingToken;

use super::{
    store_file::StoreFile,
    store_state::{StoreState, TransactionDraft},
};
use crate::{
    ports::{ChangeBatch, StoreError, StoreTxn, TxnVerdict, TxnWrite},
    store::keys,
};

/// Largest number of jobs that are decided together.
const GROUP: usize = 256;

/// Time between two attempts to open a file after a failed write.
const RETRY: Duration = Duration::from_secs(1);

type Reply<T> = oneshot::Sender<Result<T, StoreError>>;

/// A request to the writer.
#[derive(Debug)]
pub(super) enum WriteJob {
    /// Decide these transactions.
    Commit(Vec<StoreTxn>, Reply<Vec<TxnVerdict>>),
    /// Enter a candidate for as long as it keeps its lease alive.
    Enter { candidate: String, ttl: Duration, reply: Reply<FencingToken> },
    /// Renew the lease of an election key.
    Renew(String, Reply<Duration>),
    /// Remove an election key.
    Leave(String, Reply<()>),
}

struct Lease {
    ttl: Duration,
    ends: Instant,
}

/// Batches whose write failed, so that the content of the file is unknown.
struct Doubt {
    batches: Vec<ChangeBatch>,
    why: String,
}

pub(super) struct StoreWriter {
    pub(super) state: Arc<RwLock<StoreState>>,
    pub(super) published: watch::Sender<u64>,
    pub(super) disk: Option<StoreFile>,
    leases: HashMap<String, Lease>,
    doubt: Option<Doubt>,
}

/// The answer to a job, sent once the group is durable.
enum PendingReply {
    Commit(Vec<TxnVerdict>, Reply<Vec<TxnVerdict>>),
    Enter(FencingToken, Reply<FencingToken>),
    Leave(Reply<()>),
}

impl PendingReply {
    // Sending fails only if the caller stopped waiting, and then the answer has no reader.
    fn give(self) {
        match self {
            Self::Commit(verdicts, reply) => drop(reply.send(Ok(verdicts))),
            Self::Enter(token, reply) => drop(reply.send(Ok(token))),
            Self::Leave(reply) => drop(reply.send(Ok(()))),
        }
    }

    fn fail(self, failure: &dyn Fn() -> StoreError) {
        match self {
            Self::Commit(_, reply) => drop(reply.send(Err(failure()))),
            Self::Enter(_, reply) => drop(reply.send(Err(failure()))),
            Self::Leave(reply) => drop(reply.send(Err(failure()))),
        }
    }
}

impl StoreWriter {
    pub(super) fn new(
        state: Arc<RwLock<StoreState>>,
        published: watch::Sender<u64>,
        disk: Option<StoreFile>,
    ) -> Self {
        Self { state, published, disk, leases: HashMap::new(), doubt: None }
    }

    /// Works until the last sender of jobs is dropped.
    pub(super) async fn run(mut self, mut jobs: mpsc::Receiver<WriteJob>) {
        loop {
            let wake = match &self.doubt {
                Some(_) => Some(Instant::now() + RETRY),
                None => self.leases.values().map(|lease| lease.ends).min(),
            };
            let first = match wake {
                Some(wake) => timeout_at(wake, jobs.recv()).await,
                None => Ok(jobs.recv().await),
            };
            let mut group = match first {
                Ok(Some(job)) => vec![job],
                Ok(None) => return,
                Err(_wake) => Vec::new(),
            };
            while group.len() < GROUP
                && let Ok(job) = jobs.try_recv()
            {
                group.push(job);
            }
            self.work(group);
        }
    }

    fn work(&mut self, group: Vec<WriteJob>) {
        if let Err(failure) = self.settle_doubt() {
            return refuse(group, &failure);
        }
        let now = Instant::now();
        let ended: Vec<String> =
            self.leases.iter().filter(|(_, lease)| lease.ends <= now).map(|(key, _)| key.clone()).collect();
        let state = Arc::clone(&self.state);
        let (batches, answers) = {
            let base = state.read().unwrap_or_else(PoisonError::into_inner);
            let mut draft = TransactionDraft::new(&base);
            for key in &ended {
                take_out(&mut draft, key);
            }
            let answers: Vec<PendingReply> =
                group.into_iter().filter_map(|job| self.decide(&mut draft, job, now)).collect();
            (draft.finish(), answers)
        };
        match self.make_durable(batches) {
            Ok(()) => {
                self.leases.retain(|key, _| !ended.contains(key));
                answers.into_iter().for_each(PendingReply::give);
            }
            Err(failure) => answers.into_iter().for_each(|answer| answer.fail(&failure)),
        }
    }

    fn decide(
        &mut self,
        draft: &mut TransactionDraft<'_>,
        job: WriteJob,
        now: Instant,
    ) -> Option<PendingReply> {
        match job {
            WriteJob::Commit(txns, reply) => match draft.commit(&txns) {
                Ok(verdicts) => return Some(PendingReply::Commit(verdicts, reply)),
                Err(twice) => drop(reply.send(Err(StoreError::Rejected(twice.to_string())))),
            },
            WriteJob::Enter { candidate, ttl, reply } => {
                let token = enter(draft, candidate);
                // The lease is kept even if the write fails: its end then removes a key that does
                // not exist.
                self.leases.insert(token.key.clone(), Lease { ttl, ends: now + ttl });
                return Some(PendingReply::Enter(token, reply));
            }
            WriteJob::Renew(key, reply) => {
                // A lease outlives its key if another writer deletes the key. Every fenced write is
                // refused then, so the candidate must not go on leading.
                let entered = draft.get(&key).is_some();
                let live = self.leases.get_mut(&key).filter(|lease| entered && lease.ends > now);
                let renewed = live.map(|lease| {
                    lease.ends = now + lease.ttl;
                    lease.ttl
                });
                drop(reply.send(renewed.ok_or_else(|| StoreError::Rejected("the lease is gone".into()))));
            }
            WriteJob::Leave(key, reply) => {
                self.leases.remove(&key);
                take_out(draft, &key);
                return Some(PendingReply::Leave(reply));
            }
        }
        None
    }

    /// Writes the batches, then publishes them. After a failure the file is opened again to learn
    /// its content.
    fn make_durable(&mut self, batches: Vec<ChangeBatch>) -> Result<(), Box<dyn Fn() -> StoreError>> {
        if batches.is_empty() {
            return Ok(());
        }
        if let Some(disk) = &mut self.disk
            && let Err(failed) = disk.write(&batches)
        {
            let why = failed.to_string();
            error!(error = why, "store file cannot be written");
            self.doubt = Some(Doubt { batches, why: why.clone() });
            return match self.settle_doubt() {
                Ok(true) => Ok(()),
                Ok(false) => Err(Box::new(move || StoreError::Rejected(why.clone()))),
                Err(_) => Err(Box::new(move || StoreError::Unknown(why.clone()))),
            };
        }
        self.publish(batches);
        Ok(())
    }

    /// Reads from the file whether a failed write happened after all, and returns the result;
    /// `false` if there was no doubt.
    ///
    /// # Errors
    /// The file still cannot be opened, so that no write is allowed.
    fn settle_doubt(&mut self) -> Result<bool, String> {
        let (Some(doubt), Some(disk)) = (&self.doubt, &mut self.disk) else { return Ok(false) };
        let held = disk.reopen().map_err(|error| format!("{}; {error}", doubt.why))?;
        let written = doubt.batches.last().is_some_and(|batch| batch.revision == held);
        info!(written, "store file opened anew");
        if let Some(doubt) = self.doubt.take()
            && written
        {
            self.publish(doubt.batches);
        }
        Ok(written)
    }

    fn publish(&mut self, batches: Vec<ChangeBatch>) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        state.apply(batches);
        self.published.send_replace(state.revision());
    }
}

fn refuse(group: Vec<WriteJob>, why: &str) {
    let failure = || StoreError::Rejected(why.to_owned());
    for job in group {
        match job {
            WriteJob::Commit(_, reply) => drop(reply.send(Err(failure()))),
            WriteJob::Enter { reply, .. } => drop(reply.send(Err(failure()))),
            WriteJob::Renew(_, reply) => drop(reply.send(Err(failure()))),
            WriteJob::Leave(_, reply) => drop(reply.send(Err(failure()))),
        }
    }
}

/// Enters a candidate behind the existing ones.
fn enter(draft: &mut TransactionDraft<'_>, candidate: String) -> FencingToken {
    let create_revision = draft.next_revision();
    let key = format!("{}{create_revision:016x}", keys::ELECTION);
    one_write(draft, TxnWrite::Put(key.clone(), Bytes::from(candidate)));
    FencingToken { key, create_revision }
}

fn take_out(draft: &mut TransactionDraft<'_>, key: &str) {
    one_write(draft, TxnWrite::Delete(key.to_owned()));
}

fn one_write(draft: &mut TransactionDraft<'_>, write: TxnWrite) {
    let written = draft.commit(&[StoreTxn { guards: Vec::new(), writes: vec![write] }]);
    debug_assert!(written.is_ok(), "one write writes no key twice");
}
