//! New connections over TLS, each with one request: with a full handshake, and with a resumed session.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::{runtime::Builder, task::JoinSet, time::sleep_until};
use usher_harness::process::RunningProgram;

use crate::{
    args::BenchPlan,
    machine::{self, CpuWorker},
    measurement::{LoadSlice, SlicePairs},
    report::{BenchReport, GoalBound, ReportRow},
};

use super::{
    bare_tls::BareTlsServer,
    tls_client::{BenchCertificate, HandshakeMode, TlsClient},
};

/// Clients that open connections at the same time, one after the other.
const CLIENTS: usize = 16;

/// Adds the rates of new connections to the report.
pub(super) fn measure(
    plan: &BenchPlan,
    edge: &RunningProgram,
    certificate: &BenchCertificate,
    report: &mut BenchReport,
) -> Result<()> {
    let bare = BareTlsServer::start(certificate)?;
    let edge_worker = CpuWorker::Process(edge.pid());
    for (mode, name) in [
        (HandshakeMode::Full, "new connections with a full handshake"),
        (HandshakeMode::Resumed, "new connections with a resumed session"),
    ] {
        let slice = |to, server| HandshakeLoad { to, server, mode, certificate }.run(plan);
        let pairs = SlicePairs::take(
            plan.pairs,
            || slice(bare.address, bare.worker),
            || slice(edge.address("listen"), edge_worker),
        )?;
        report.rows.push(ReportRow::rate(format!("bare rustls, {name}"), pairs.beside()));
        let row = ReportRow::rate(format!("edge, {name}"), pairs.ours());
        report.rows.push(row.with_goal("rate × bare", pairs.rate_ratio(), GoalBound::AtLeast(0.7)));
    }
    bare.stop()
}

/// Clients of one server.
struct HandshakeLoad<'a> {
    to: SocketAddr,
    server: CpuWorker,
    mode: HandshakeMode,
    certificate: &'a BenchCertificate,
}

impl HandshakeLoad<'_> {
    fn run(&self, plan: &BenchPlan) -> Result<LoadSlice> {
        machine::on_core(machine::LOAD_CORE, || {
            Builder::new_current_thread().enable_all().build()?.block_on(self.generate(plan))
        })
    }

    async fn generate(&self, plan: &BenchPlan) -> Result<LoadSlice> {
        let begin = Instant::now() + plan.warm_up;
        let end = begin + plan.slice;
        let mut clients = JoinSet::new();
        for _ in 0..CLIENTS {
            clients.spawn(visit(self.certificate.client(self.mode)?, self.to, begin, end));
        }
        sleep_until(begin.into()).await;
        let before = self.server.cpu()?;
        sleep_until(end.into()).await;
        let used = self.server.cpu()?.saturating_sub(before);
        let mut micros = Histogram::new(3)?;
        while let Some(seen) = clients.join_next().await {
            micros.add(seen??)?;
        }
        Ok(LoadSlice::new(micros, plan.slice, Some(used)))
    }
}

async fn visit(client: TlsClient, to: SocketAddr, begin: Instant, end: Instant) -> Result<Histogram<u64>> {
    let mut micros = Histogram::new(3)?;
    // The first visit of a client has no session to resume.
    client.exchange(to).await?;
    loop {
        let sent = Instant::now();
        if sent >= end {
            return Ok(micros);
        }
        client.visit(to).await?;
        if sent >= begin {
            micros.record(u64::try_from(sent.elapsed().max(Duration::from_micros(1)).as_micros())?)?;
        }
    }
}
