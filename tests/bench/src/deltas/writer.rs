//! A writer of records that bypasses the control plane, as another replica would.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior},
};
use usher_control_plane::{
    core::plan::{Plan, PlanWrite},
    ports::{self, StoreTxn, TxnVerdict},
    store::{self, codec::StoreCodec},
};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingRecord, RecordState},
    server::Server,
    settings::StoreSettings,
};

use super::marks::{AcknowledgedCommit, RevisionMarks};
use crate::synthetic;

/// The number of changes in one commit.
pub(crate) const GATHERED: usize = 4;

/// The number of records in one commit while the table is filled.
const FILLED: usize = 64;

/// The number of commits in progress while the table is filled.
const UNDER_WAY: usize = 4;

pub(crate) struct RecordWriter {
    store: Arc<dyn ports::Store>,
    codec: StoreCodec,
    fleet: WrittenFleet,
    /// The commits of all calls of [`Self::change`]. Each gives its meetings new instances: a value
    /// that was written before would change no route.
    rounds: AtomicUsize,
}

/// The fleet whose records are written: meeting `n` is on server `n % servers`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WrittenFleet {
    pub(crate) meetings: usize,
    pub(crate) servers: usize,
}

impl RecordWriter {
    /// Connects to the store of a fleet.
    pub(crate) fn connect(endpoints: &[String], fleet: WrittenFleet) -> Result<Self> {
        let settings = StoreSettings { endpoints: endpoints.to_vec(), ..StoreSettings::default() };
        Ok(Self {
            store: store::open(&settings, None)?,
            codec: StoreCodec::new(),
            fleet,
            rounds: AtomicUsize::new(0),
        })
    }

    /// Writes every meeting once and returns the last revision.
    pub(crate) async fn fill(&self) -> Result<u64> {
        let (mut commits, mut last) = (JoinSet::new(), 0);
        for first in (0..self.fleet.meetings).step_by(FILLED) {
            if commits.len() == UNDER_WAY
                && let Some(revision) = commits.join_next().await
            {
                last = last.max(revision??);
            }
            let records = first..self.fleet.meetings.min(first + FILLED);
            let txns = records.map(|number| self.put(number, 0)).collect::<Result<Vec<_>>>()?;
            commits.spawn(commit(Arc::clone(&self.store), txns));
        }
        while let Some(revision) = commits.join_next().await {
            last = last.max(revision??);
        }
        Ok(last)
    }

    /// Writes the entries of servers, and returns the last revision.
    pub(crate) async fn add_servers(&self, servers: impl Iterator<Item = Server>) -> Result<u64> {
        let mut last = 0;
        for server in servers {
            let write = PlanWrite::Server(server.id.clone(), server);
            let plan = Plan { guards: Vec::new(), writes: vec![write] };
            last = commit(Arc::clone(&self.store), vec![self.codec.txn(&plan, None)]).await?;
        }
        Ok(last)
    }

    /// Gives meetings new instances at a constant rate for `time`. `nth` returns the meeting of the
    /// nth change.
    pub(crate) async fn change(
        &self,
        nth: impl Fn(usize) -> usize,
        per_second: usize,
        time: Duration,
        marks: &Arc<RevisionMarks>,
    ) -> Result<Vec<AcknowledgedCommit>> {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) * GATHERED as u32 / per_second as u32);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (end, mut commits) = (Instant::now() + time, JoinSet::new());
        for round in 0.. {
            if ticks.tick().await >= end {
                break;
            }
            let numbers = (0..GATHERED).map(|number| nth(round * GATHERED + number));
            let instance = self.rounds.fetch_add(1, Ordering::Relaxed) + 1;
            let txns = numbers.map(|number| self.put(number, instance)).collect::<Result<Vec<_>>>()?;
            let (work, marks) = (commit(Arc::clone(&self.store), txns), Arc::clone(marks));
            commits.spawn(async move {
                let revision = work.await?;
                Ok::<_, anyhow::Error>(AcknowledgedCommit { revision, at_micros: marks.now_micros() })
            });
        }
        commits.join_all().await.into_iter().collect()
    }

    fn put(&self, number: usize, instance: usize) -> Result<StoreTxn> {
        let key = synthetic::key(number)?;
        let internal_id = match (synthetic::internal_id(key.meeting.as_str()), instance) {
            (first, 0) => first,
            (first, instance) => format!("{first}{instance}"),
        };
        let record = MeetingRecord {
            state: RecordState::Active {
                internal_id: InternalMeetingId::parse(&internal_id)?,
                create_time_ms: synthetic::CREATED_AT_MS,
            },
            server: ServerId::parse(&format!("bbb-{}", number % self.fleet.servers))?,
            token: "0123456789abcdef0123456789abcdef".to_owned(),
            request_digest: vec![7; 32].into(),
            created_at_ms: synthetic::CREATED_AT_MS,
            max_users: 0,
            size_hint: 0,
            voice_bridge: None,
            breakout: false,
            unanswered: false,
        };
        let plan = Plan { guards: Vec::new(), writes: vec![PlanWrite::Record(key, record)] };
        Ok(self.codec.txn(&plan, None))
    }
}

async fn commit(store: Arc<dyn ports::Store>, txns: Vec<StoreTxn>) -> Result<u64> {
    let verdicts = store.commit(txns).await?;
    match verdicts.last().context("a commit has a verdict")? {
        TxnVerdict::Committed(revision) => Ok(*revision),
        TxnVerdict::Refused(revision) => bail!("a write without guards was refused at {revision}"),
    }
}
