//! A crowd: connections of another tenant that send as fast as they get answers, each at most at a
//! given rate.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Result;
use bytes::Bytes;
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;

use super::connection::{BenchAnswer, BenchConnection};

/// The pause of a connection that could not be opened, or was closed without an answer.
const AFTER_BREAK: Duration = Duration::from_millis(100);

/// The number of connections that are opened from one address. One application comes from one
/// address, and so does each balancer that hides its clients.
const OF_ONE_ADDRESS: usize = 256;

/// The traffic of a crowd.
#[derive(Clone)]
pub(super) enum CrowdTraffic {
    /// Requests by their number, each the answer's turn after the last.
    Requests(Arc<dyn Fn(u64) -> Bytes + Send + Sync>),
    /// Open connections without a request.
    Silence,
}

/// A crowd that is not started yet.
#[derive(Clone)]
pub(super) struct CrowdLoad {
    pub(super) edge: SocketAddr,
    pub(super) connections: usize,
    /// The shortest time between two requests of one connection.
    pub(super) interval: Duration,
    pub(super) traffic: CrowdTraffic,
}

/// The answers that a crowd got.
#[derive(Debug, Default)]
pub(super) struct CrowdCounts {
    pub(super) served: AtomicU64,
    pub(super) refused: AtomicU64,
    /// Connections that were refused, or closed without an answer.
    pub(super) broken: AtomicU64,
    /// Connections that are open.
    pub(super) open: AtomicU64,
}

/// A crowd that sends until it is stopped.
#[derive(Debug)]
pub(super) struct RunningCrowd {
    pub(super) counts: Arc<CrowdCounts>,
    stop: CancellationToken,
    connections: JoinSet<()>,
}

impl CrowdLoad {
    /// Opens all connections, and returns once each was opened or refused.
    pub(super) async fn start(&self) -> Result<RunningCrowd> {
        let (counts, stop) = (Arc::new(CrowdCounts::default()), CancellationToken::new());
        let mut connections = JoinSet::new();
        let numbers = Arc::new(AtomicU64::new(0));
        for number in 0..self.connections {
            let (load, counts, stop) = (self.clone(), Arc::clone(&counts), stop.clone());
            let numbers = Arc::clone(&numbers);
            connections.spawn(async move {
                tokio::select! {
                    () = load.converse(address_of(number), &counts, &numbers) => {}
                    () = stop.cancelled() => {}
                }
            });
        }
        let running = RunningCrowd { counts, stop, connections };
        let begun = Instant::now();
        while running.begun() < self.connections as u64 && begun.elapsed() < Duration::from_secs(10) {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(running)
    }

    async fn converse(&self, from: IpAddr, counts: &CrowdCounts, numbers: &AtomicU64) {
        let mut ticks = interval(self.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let Ok(mut connection) = BenchConnection::open(from, self.edge).await else {
                counts.broken.fetch_add(1, Ordering::Relaxed);
                sleep(AFTER_BREAK).await;
                continue;
            };
            counts.open.fetch_add(1, Ordering::Relaxed);
            match &self.traffic {
                CrowdTraffic::Silence => connection.closed().await,
                CrowdTraffic::Requests(request) => loop {
                    ticks.tick().await;
                    let request = request(numbers.fetch_add(1, Ordering::Relaxed));
                    match connection.exchange(&request).await {
                        Ok(BenchAnswer::Served) => counts.served.fetch_add(1, Ordering::Relaxed),
                        Ok(BenchAnswer::Refused) => counts.refused.fetch_add(1, Ordering::Relaxed),
                        Err(_) => break,
                    };
                },
            }
            counts.open.fetch_sub(1, Ordering::Relaxed);
            counts.broken.fetch_add(1, Ordering::Relaxed);
            sleep(AFTER_BREAK).await;
        }
    }
}

impl RunningCrowd {
    /// Returns the number of connections that were opened or refused.
    fn begun(&self) -> u64 {
        self.counts.open.load(Ordering::Relaxed) + self.counts.broken.load(Ordering::Relaxed)
    }

    /// Closes every connection, and returns the counts.
    pub(super) async fn stop(mut self) -> Arc<CrowdCounts> {
        self.stop.cancel();
        while self.connections.join_next().await.is_some() {}
        self.counts
    }
}

impl fmt::Display for CrowdCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [served, refused, broken] =
            [&self.served, &self.refused, &self.broken].map(|count| count.load(Ordering::Relaxed));
        write!(f, "{served} served, {refused} refused, {broken} connections closed")
    }
}

/// Returns the address of a connection: 127.0.2.1 for the first ones, then 127.0.2.2, …
fn address_of(connection: usize) -> IpAddr {
    let host = u8::try_from(connection / OF_ONE_ADDRESS % 250).unwrap_or(0) + 1;
    IpAddr::V4(Ipv4Addr::new(127, 0, 2, host))
}
