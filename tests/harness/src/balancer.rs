//! A network load balancer in front of the edges: it sends each new connection to a ready edge and
//! copies bytes. It retries no connection, so that a test sees every failure.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{MissedTickBehavior, interval},
};

use crate::{process::RunningProgram, wait};

/// The interval of the readiness checks; an edge that is not ready gets no new connections.
const PROBE: Duration = Duration::from_millis(100);

/// A running balancer; dropping it closes every connection.
#[derive(Debug)]
pub struct TestBalancer {
    address: SocketAddr,
    seats: Arc<BalancedEdges>,
    _tasks: JoinSet<()>,
}

#[derive(Debug)]
struct BalancedEdges {
    edges: Mutex<Vec<BalancedEdge>>,
    next: AtomicUsize,
}

/// One edge behind the balancer, with its last known readiness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BalancedEdge {
    listen: SocketAddr,
    ops: SocketAddr,
    ready: bool,
}

impl BalancedEdge {
    fn of(edge: &RunningProgram) -> Self {
        Self { listen: edge.address("listen"), ops: edge.address("ops"), ready: false }
    }
}

impl TestBalancer {
    /// Starts a balancer in front of these edges and waits until all are ready.
    ///
    /// # Errors
    /// When an edge is not ready in time.
    pub async fn start(edges: &[RunningProgram]) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.context("bind the balancer")?;
        let address = listener.local_addr()?;
        let seats = Arc::new(BalancedEdges {
            edges: Mutex::new(edges.iter().map(BalancedEdge::of).collect()),
            next: AtomicUsize::new(0),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(probe(Arc::clone(&seats)));
        tasks.spawn(accept(listener, Arc::clone(&seats)));
        let balancer = Self { address, seats, _tasks: tasks };
        balancer.all_ready().await?;
        Ok(balancer)
    }

    /// Returns the address on which it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces an edge by its restarted process and waits until that is ready.
    ///
    /// # Errors
    /// When the edge is not ready in time.
    pub async fn replace(&self, number: usize, edge: &RunningProgram) -> Result<()> {
        self.seats.edges()[number] = BalancedEdge::of(edge);
        self.all_ready().await
    }

    async fn all_ready(&self) -> Result<()> {
        wait::until("every edge to be ready", || async {
            let seats = self.seats.edges().clone();
            ensure!(seats.iter().all(|seat| seat.ready), "{seats:?}");
            Ok(())
        })
        .await
    }
}

impl BalancedEdges {
    fn edges(&self) -> MutexGuard<'_, Vec<BalancedEdge>> {
        self.edges.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the next ready edge, in turn.
    fn choose(&self) -> Option<SocketAddr> {
        let ready: Vec<_> = self.edges().iter().filter(|seat| seat.ready).map(|seat| seat.listen).collect();
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        ready.get(turn % ready.len().max(1)).copied()
    }
}

async fn probe(seats: Arc<BalancedEdges>) {
    let http = reqwest::Client::builder().timeout(wait::GLANCE).build().unwrap_or_default();
    let mut look = interval(PROBE);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        let before = seats.edges().clone();
        for (number, seat) in before.into_iter().enumerate() {
            let answer = http.get(format!("http://{}/ready", seat.ops)).send().await;
            let ready = answer.is_ok_and(|answer| answer.status().is_success());
            // The edge may have been replaced during the check; its result is then of the old
            // process.
            if let Some(now) = seats.edges().get_mut(number).filter(|now| **now == seat) {
                now.ready = ready;
            }
        }
    }
}

async fn accept(listener: TcpListener, seats: Arc<BalancedEdges>) {
    let mut connections = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        let edge = seats.choose();
        connections.spawn(async move {
            let Some(edge) = edge else { return };
            let Ok(mut edge) = TcpStream::connect(edge).await else { return };
            // Either side may end the connection at any time; that is no failure of the balancer.
            let _ = tokio::io::copy_bidirectional(&mut client, &mut edge).await;
        });
    }
}
