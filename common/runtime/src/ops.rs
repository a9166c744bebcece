//! The ops port: `/live`, `/ready` and `/metrics`. Each part of a program adds its checks. In standalone mode
//! control plane and edge share one [`OpsHandle`] and one port.

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
};

use axum::{
    Router,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::net::TcpListener;

use super::{metrics::MetricsRegistry, pending::PendingCalls, tasks::TaskGroup};

type Test = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

#[derive(Clone)]
struct Check {
    name: &'static str,
    test: Test,
}

#[derive(Default)]
struct Shared {
    live: RwLock<Vec<Check>>,
    ready: RwLock<Vec<Check>>,
    stopping: AtomicBool,
    metrics: MetricsRegistry,
    pending: PendingCalls,
}

/// The checks and metrics of one process. Clones share them.
#[derive(Clone)]
pub struct OpsHandle(Arc<Shared>);

/// The results of a set of checks, in the order in which they were added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckReport {
    /// Name of each check with its fault, if it has one.
    pub checks: Vec<(&'static str, Result<(), String>)>,
}

impl CheckReport {
    /// Tells whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|(_, outcome)| outcome.is_ok())
    }
}

impl fmt::Display for CheckReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", if self.passed() { "ok" } else { "failed" })?;
        for (name, outcome) in &self.checks {
            match outcome {
                Ok(()) => writeln!(f, "{name}: ok")?,
                Err(problem) => writeln!(f, "{name}: {problem}")?,
            }
        }
        Ok(())
    }
}

impl Default for OpsHandle {
    fn default() -> Self {
        let shared = Shared::default();
        let pending = Box::new(shared.pending.clone());
        shared.metrics.register(|registry| registry.register_collector(pending));
        Self(Arc::new(shared))
    }
}

impl OpsHandle {
    /// Returns a handle without checks, which is live and ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the registry behind `/metrics`.
    pub fn metrics(&self) -> &MetricsRegistry {
        &self.0.metrics
    }

    /// Returns the list of pending calls of this process. The age of the oldest call is a metric of every program.
    pub fn pending(&self) -> PendingCalls {
        self.0.pending.clone()
    }

    /// Adds a liveness check. It must fail only if a restart of the process is the remedy, and must not block.
    pub fn live_when(
        &self,
        name: &'static str,
        test: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        add(&self.0.live, name, Arc::new(test));
    }

    /// Adds a readiness check. While it fails, balancers send requests to other processes. It must not block.
    pub fn ready_when(
        &self,
        name: &'static str,
        test: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) {
        add(&self.0.ready, name, Arc::new(test));
    }

    /// Makes `/ready` fail from now on: the first step of a shutdown (style P16).
    pub fn begin_shutdown(&self) {
        self.0.stopping.store(true, Ordering::Release);
    }

    /// Runs the liveness checks.
    pub fn live(&self) -> CheckReport {
        run(&self.0.live)
    }

    /// Runs the readiness checks.
    pub fn ready(&self) -> CheckReport {
        let mut report = run(&self.0.ready);
        if self.0.stopping.load(Ordering::Acquire) {
            report.checks.insert(0, ("process", Err("is shutting down".into())));
        }
        report
    }

    /// Returns the routes of the ops port, to be served or nested.
    pub fn router(&self) -> Router {
        let (live, ready, metrics) = (self.clone(), self.clone(), self.metrics().clone());
        Router::new()
            .route("/live", get(async move || answer(&live.live())))
            .route("/ready", get(async move || answer(&ready.ready())))
            .route("/metrics", get(async move || expose(&metrics)))
    }
}

impl fmt::Debug for OpsHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ops").finish_non_exhaustive()
    }
}

fn add(checks: &RwLock<Vec<Check>>, name: &'static str, test: Test) {
    checks.write().unwrap_or_else(PoisonError::into_inner).push(Check { name, test });
}

/// The checks run outside the lock, so that a slow check does not delay a caller that adds another.
fn run(checks: &RwLock<Vec<Check>>) -> CheckReport {
    let checks = checks.read().unwrap_or_else(PoisonError::into_inner).clone();
    CheckReport { checks: checks.iter().map(|check| (check.name, (check.test)())).collect() }
}

fn answer(report: &CheckReport) -> Response {
    let status = if report.passed() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, [(header::CACHE_CONTROL, "no-store")], report.to_string()).into_response()
}

fn expose(metrics: &MetricsRegistry) -> Response {
    match metrics.encode() {
        Ok(text) => ([(header::CONTENT_TYPE, super::metrics::CONTENT_TYPE)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// Serves an [`OpsHandle`] until its tasks are stopped.
#[derive(Debug)]
pub struct OpsServer {
    addr: SocketAddr,
}

impl OpsServer {
    /// Binds `addr` (port 0 means any free port) and serves the ops routes.
    pub async fn start(ops: &OpsHandle, addr: SocketAddr, tasks: &TaskGroup) -> std::io::Result<Self> {
        Self::start_with(ops.router(), addr, tasks).await
    }

    /// Serves the given routes, to which the caller has merged [`OpsHandle::router`], as [`OpsServer::start`] does.
    pub async fn start_with(router: Router, addr: SocketAddr, tasks: &TaskGroup) -> std::io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        tasks.spawn("ops", async move |stop| {
            // The stop is not graceful, because a scraper with an open connection must not delay a shutdown.
            tokio::select! {
                () = stop.cancelled() => Ok(()),
                served = async { axum::serve(listener, router).await } => Ok(served?),
            }
        });
        Ok(Self { addr })
    }

    /// Returns the address that was bound.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }
}

#[cfg(test)]
mod tests;
