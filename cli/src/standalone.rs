//! A whole Usher in one process: store, control plane, edge, and one ops port for all.
//!
//! Start: store, control plane, ops port, edge, servers of the list, a complete table. Stop, in the
//! reverse order of what needs what: not ready, edge, control plane, the rest; each with a deadline.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use usher_control_plane::{app::RunningControlPlane, store};
use usher_edge_proxy::app::Edge;
use usher_model::settings::Settings;
use usher_runtime::{
    ops::{OpsHandle, OpsServer},
    tasks::TaskGroup,
};

use crate::{
    admin_client::AdminClient,
    args::{GlobalOptions, OutputFormat},
    core::server_list::ServerSpec,
    exit::CommandFailure,
    fleet_sync,
};

/// Longest time the last tasks may take to end.
const LAST_TASKS: Duration = Duration::from_secs(10);
/// Longest time one administration call may take at start.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);

/// A running standalone Usher.
#[derive(Debug)]
pub struct StandaloneUsher {
    plane: RunningControlPlane,
    edge: Edge,
    ops: OpsHandle,
    tasks: TaskGroup,
    addresses: StandaloneAddresses,
    admin: GlobalOptions,
}

/// Where it is reached. Prints as the `ready` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandaloneAddresses {
    /// BBB API.
    pub listen: SocketAddr,
    /// gRPC.
    pub control: SocketAddr,
    /// `/live /ready /metrics`.
    pub ops: SocketAddr,
    /// Whether the BBB API is served over TLS.
    pub tls: bool,
}

impl StandaloneAddresses {
    /// Returns the base of the BBB API.
    pub fn api(&self) -> String {
        let scheme = if self.tls { "https" } else { "http" };
        format!("{scheme}://{}/bigbluebutton/api/", self.listen)
    }
}

impl fmt::Display for StandaloneAddresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ready api={} listen={} control={} ops={}", self.api(), self.listen, self.control, self.ops)
    }
}

impl StandaloneUsher {
    /// Starts everything and returns when it can serve. `servers` are added where they are not known yet.
    pub async fn start(settings: &Settings, servers: &[ServerSpec]) -> Result<Self, CommandFailure> {
        let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
        let starting = Self::assemble(settings, servers, &tasks, &ops);
        let stopping = tasks.stopping();
        let started = tokio::select! {
            started = starting => started,
            () = stopping.cancelled() => Err(anyhow::anyhow!("a part ended while it was starting; see the log").into()),
        };
        if started.is_err() {
            tasks.stop();
        }
        started
    }

    async fn assemble(
        settings: &Settings,
        servers: &[ServerSpec],
        tasks: &TaskGroup,
        ops: &OpsHandle,
    ) -> Result<Self, CommandFailure> {
        let store = store::open(&settings.store, settings.data.as_deref()).context("open the store")?;
        let plane = RunningControlPlane::start(settings, Arc::clone(&store), ops, tasks).await?;
        let ops_addr = settings.addresses.ops;
        let ops_server = OpsServer::start(ops, ops_addr, tasks)
            .await
            .with_context(|| format!("bind ops on {ops_addr}"))?;
        let control = loopback(plane.grpc_addr());
        let mut settings = settings.clone();
        settings.edge.control_plane = vec![format!("http://{control}")];
        let edge = Edge::start(&settings, ops, tasks).await.context("start the edge")?;
        plane.ready().await;
        let admin = GlobalOptions {
            endpoint: format!("http://{control}"),
            token: settings.admin.token.clone(),
            ca: None,
            timeout: ADMIN_TIMEOUT,
            output: OutputFormat::Table,
            yes: true,
        };
        if !servers.is_empty() {
            fleet_sync::apply_at_start(&AdminClient::connect(&admin).await?, servers).await?;
        }
        edge.ready().await;
        let addresses = StandaloneAddresses {
            listen: edge.api_addr(),
            control: plane.grpc_addr(),
            ops: ops_server.addr(),
            tls: settings.edge.tls_cert.is_some(),
        };
        Ok(Self { plane, edge, ops: ops.clone(), tasks: tasks.clone(), addresses, admin })
    }

    /// Returns where it is reached.
    pub fn addresses(&self) -> &StandaloneAddresses {
        &self.addresses
    }

    /// Connects to its control port.
    pub async fn admin(&self) -> Result<AdminClient, CommandFailure> {
        AdminClient::connect(&self.admin).await
    }

    /// Returns the token that is cancelled when a part of it ended by itself.
    pub fn ended(&self) -> CancellationToken {
        self.tasks.stopping()
    }

    /// Stops everything in order.
    pub async fn stop(self) {
        self.ops.begin_shutdown();
        self.edge.shutdown().await;
        self.plane.shutdown().await;
        if tokio::time::timeout(LAST_TASKS, self.tasks.shutdown()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
    }
}

/// A listener on every interface is reached over this machine's own.
fn loopback(mut addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() {
        addr.set_ip(if addr.is_ipv4() {
            [127, 0, 0, 1].into()
        } else {
            std::net::Ipv6Addr::LOCALHOST.into()
        });
    }
    addr
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ready_line_names_every_address() {
        let addr = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let addresses =
            StandaloneAddresses { listen: addr(8080), control: addr(9090), ops: addr(9091), tls: false };
        assert_eq!(
            addresses.to_string(),
            "ready api=http://127.0.0.1:8080/bigbluebutton/api/ listen=127.0.0.1:8080 control=127.0.0.1:9090 ops=127.0.0.1:9091"
        );
    }

    #[test]
    fn a_listener_on_every_interface_is_reached_over_loopback() {
        assert_eq!(loopback(SocketAddr::from(([0, 0, 0, 0], 5))), SocketAddr::from(([127, 0, 0, 1], 5)));
        assert_eq!(loopback("[::]:5".parse().expect("is one")), "[::1]:5".parse().expect("is one"));
    }
}
