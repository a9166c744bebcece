//! Connections of clients: the memory of those that are idle, and the cost of new ones over TLS beside a
//! bare rustls server.

mod bare_tls;
mod handshakes;
mod idle;
mod tls_client;

use anyhow::Result;
use tokio::runtime::Runtime;

use crate::{
    args::BenchPlan,
    edge_program, machine,
    report::BenchReport,
    routes::{RouteServer, StreamedTable},
};

use self::tls_client::BenchCertificate;

/// Adds the costs of connections to the report.
pub(crate) fn measure(plan: &BenchPlan, runtime: &Runtime, report: &mut BenchReport) -> Result<()> {
    machine::want_descriptors(plan.idle_connections as u64 * 4 / 3 + 10_000)?;
    let routes = runtime.block_on(RouteServer::start(StreamedTable { meetings: 100, changes: 0 }))?;
    let patient = [("USHER_EDGE__CLIENT_TIMEOUT", "1h"), ("USHER_EDGE__IDLE_TIMEOUT", "1h")];
    // Thousands of requests within a second leave memory behind that the allocator keeps for the next ones.
    // It gives it back at once here, so that the figure is what a connection holds.
    let edge = edge_program::start(routes.address, &[patient[0], patient[1], ("MIMALLOC_PURGE_DELAY", "0")])?;
    runtime.block_on(idle::plain(plan, &edge, report))?;
    drop(edge);
    // Another edge: one that has closed connections has memory to spare.
    let edge = edge_program::start(routes.address, &patient)?;
    runtime.block_on(idle::http2(plan, &edge, report))?;
    drop(edge);

    let certificate = BenchCertificate::make()?;
    let paths = certificate.paths();
    let with_tls =
        [patient[0], patient[1], ("USHER_EDGE__TLS_CERT", &paths[0]), ("USHER_EDGE__TLS_KEY", &paths[1])];
    let edge = edge_program::start(routes.address, &with_tls)?;
    runtime.block_on(idle::secured(plan, &edge, &certificate, report))?;
    handshakes::measure(plan, &edge, &certificate, report)?;
    drop(edge);
    runtime.block_on(routes.stop());
    Ok(())
}
