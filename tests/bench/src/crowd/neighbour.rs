//! The well-behaved tenant: joins and creates at a constant rate, far below the limits of one core.
//! It runs on a thread of its own, so that a busy load generator delays it only as any other
//! process would.

use std::{
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Result, anyhow};
use bytes::Bytes;
use hdrhistogram::Histogram;
use tokio::{
    runtime::Builder,
    task::JoinSet,
    time::{MissedTickBehavior, interval_at},
};

use super::{
    connection::{BenchAnswer, BenchConnection},
    requests::{self, ApiClient},
};
use crate::measurement::LoadSlice;

/// The address of the tenant's application.
pub(super) const FROM: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));

/// The connections for joins, and the interval between two joins on each.
const JOINS: (usize, Duration) = (8, Duration::from_millis(20));

/// The connections for creates, and the interval between two creates on each.
const CREATES: (usize, Duration) = (8, Duration::from_millis(80));

/// The well-behaved tenant.
#[derive(Debug, Clone)]
pub(super) struct QuietTenant {
    pub(super) edge: SocketAddr,
    pub(super) client: ApiClient,
    /// The meetings that it joins.
    pub(super) meetings: Arc<[String]>,
    /// The number of its next new meeting.
    pub(super) next: Arc<AtomicUsize>,
}

/// The results of one slice.
#[derive(Clone)]
pub(super) struct NeighbourResult {
    pub(super) joins: LoadSlice,
    pub(super) creates: LoadSlice,
    /// The joins that got no redirect, and the creates that got no success.
    pub(super) refused: u64,
}

/// The operations of one connection.
struct Operations {
    micros: Histogram<u64>,
    operations: u64,
    refused: u64,
}

/// The kind of operation of one connection.
#[derive(Clone, Copy)]
enum Operation {
    Join,
    Create,
}

impl QuietTenant {
    /// Joins and creates for `time`, after `warm_up` in which nothing is counted.
    pub(super) fn run(&self, warm_up: Duration, time: Duration) -> Result<NeighbourResult> {
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                Builder::new_current_thread().enable_all().build()?.block_on(self.operate(warm_up, time))
            });
            thread.join().map_err(|_| anyhow!("the well-behaved tenant panicked"))?
        })
    }

    async fn operate(&self, warm_up: Duration, time: Duration) -> Result<NeighbourResult> {
        let begin = Instant::now() + warm_up;
        let end = begin + time;
        let start = |operation, (connections, interval): (usize, Duration)| {
            let mut operating = JoinSet::new();
            for number in 0..connections {
                let first = Instant::now() + interval * u32::try_from(number).unwrap_or(0) / 8;
                operating.spawn(self.clone().converse(operation, number, (first, begin, end), interval));
            }
            operating
        };
        let (joining, creating) = (start(Operation::Join, JOINS), start(Operation::Create, CREATES));
        let (joins, join_refusals) = sum(joining, time).await?;
        let (creates, create_refusals) = sum(creating, time).await?;
        Ok(NeighbourResult { joins, creates, refused: join_refusals + create_refusals })
    }

    async fn converse(
        self,
        operation: Operation,
        number: usize,
        (first, begin, end): (Instant, Instant, Instant),
        interval: Duration,
    ) -> Result<Operations> {
        let mut seen = Operations { micros: Histogram::new(3)?, operations: 0, refused: 0 };
        let mut ticks = interval_at(first.into(), interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut connection = None;
        for turn in 0.. {
            ticks.tick().await;
            let sent = Instant::now();
            if sent >= end {
                break;
            }
            let (request, after) = self.request(operation, number + turn * JOINS.0);
            let served = self.exchange(&mut connection, &request).await;
            if sent >= begin {
                // A slow answer delays the requests behind it: they count as slow too, as they would
                // for users who do not wait for each other.
                let micros = u64::try_from(sent.elapsed().as_micros())?.max(1);
                seen.micros.record_correct(micros, u64::try_from(interval.as_micros())?)?;
                seen.operations += 1;
                seen.refused += u64::from(!served);
            }
            if let Some(end) = after.filter(|_| served) {
                self.exchange(&mut connection, &end).await;
            }
        }
        Ok(seen)
    }

    /// Returns a request, and the request that cleans up after it.
    fn request(&self, operation: Operation, turn: usize) -> (Bytes, Option<Bytes>) {
        match operation {
            Operation::Join => {
                let meeting = self.meetings.get(turn % self.meetings.len().max(1)).map_or("", |id| id);
                let query =
                    format!("fullName=Ada+Lovelace&meetingID={meeting}&role=VIEWER&userID=user-{turn}");
                (self.client.get("join", query), None)
            }
            Operation::Create => {
                let id = format!("lecture-{}", self.next.fetch_add(1, Ordering::Relaxed));
                let end = self.client.get("end", format!("meetingID={id}&password=mp"));
                (self.client.get("create", requests::create(&id)), Some(end))
            }
        }
    }

    /// Returns whether a request was served. A broken connection is replaced at the next request.
    async fn exchange(&self, connection: &mut Option<BenchConnection>, request: &[u8]) -> bool {
        let mut open = match connection.take() {
            Some(open) => open,
            None => match BenchConnection::open(FROM, self.edge).await {
                Ok(open) => open,
                Err(_) => return false,
            },
        };
        let answer = open.exchange(request).await;
        if answer.is_ok() {
            *connection = Some(open);
        }
        matches!(answer, Ok(BenchAnswer::Served))
    }
}

async fn sum(mut operating: JoinSet<Result<Operations>>, time: Duration) -> Result<(LoadSlice, u64)> {
    let (mut micros, mut operations, mut refused) = (Histogram::new(3)?, 0, 0);
    while let Some(seen) = operating.join_next().await {
        let seen = seen??;
        micros.add(seen.micros)?;
        operations += seen.operations;
        refused += seen.refused;
    }
    // Not by the number of durations, which counts a slow answer several times.
    let rate = operations as f64 / time.as_secs_f64();
    Ok((LoadSlice { rate, micros, cpu_micros: None }, refused))
}
