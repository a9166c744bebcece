//! Runs store, control plane, edge and, if it is on, the recordings library in one process, with one ops port
//! (design 2).
//!
//! The start has an order: store, control plane, ops port, library, edge, servers of the list, complete routing table. A part
//! stops before the parts that it needs (style P16): not ready, edge, library, control plane, other tasks; each step has a
//! deadline.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use tokio_util::sync::CancellationToken;
use usher_control_plane::{app::RunningControlPlane, store};
use usher_edge_proxy::app::Edge;
use usher_model::settings::Settings;
use usher_recordings::app::RunningLibrary;
use usher_runtime::{
    descriptors,
    ops::{OpsHandle, OpsServer},
    program::ProgramService as _,
    tasks::TaskGroup,
};

use crate::{
    admin_client::AdminClient,
    args::{GlobalOptions, OutputFormat},
    core::server_list::ServerSpec,
    exit::CommandFailure,
    fleet_sync,
};

/// The longest time that the remaining tasks may take to end.
const LAST_TASKS: Duration = Duration::from_secs(10);
/// The longest time that one administration call may take during the start.
const ADMIN_TIMEOUT: Duration = Duration::from_secs(15);

/// A running Usher in this process.
#[derive(Debug)]
pub struct StandaloneUsher {
    plane: RunningControlPlane,
    edge: Edge,
    library: Option<RunningLibrary>,
    ops: OpsHandle,
    tasks: TaskGroup,
    addresses: StandaloneAddresses,
    admin: GlobalOptions,
}

/// The addresses of a standalone Usher. Displays as the `ready` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandaloneAddresses {
    /// Address of the BBB API.
    pub listen: SocketAddr,
    /// Address of the gRPC control port.
    pub control: SocketAddr,
    /// Address of `/live`, `/ready` and `/metrics`.
    pub ops: SocketAddr,
    /// Whether the BBB API is served over TLS.
    pub tls: bool,
}

impl StandaloneAddresses {
    /// Returns the base URL of the BBB API.
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
    /// Starts all parts and returns when the edge can serve. `servers` is the list to apply at the start.
    ///
    /// # Errors
    /// A part cannot start or ends during the start; the parts that run are stopped.
    pub async fn start(settings: &Settings, servers: &[ServerSpec]) -> Result<Self, CommandFailure> {
        if !settings.edge.cells.is_empty() {
            let fault = "edge.cells is set; `usher standalone` is one cell with its own edge, so remove it";
            return Err(CommandFailure::Usage(fault.into()));
        }
        descriptors::raise_limit();
        let (tasks, ops) = (TaskGroup::new(), OpsHandle::new());
        let starting = Self::assemble(settings, servers, &tasks, &ops);
        let stopping = tasks.stopping();
        let started = tokio::select! {
            started = starting => started,
            () = stopping.cancelled() => Err(anyhow::anyhow!("a part of the program ended during the start; see the log").into()),
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
        let library = if settings.recordings.library {
            Some(RunningLibrary::start(&settings, ops, tasks).await.context("start the recordings library")?)
        } else {
            None
        };
        let edge = Edge::start(&settings, ops, tasks).await.context("start the edge")?;
        plane.ready().await;
        let admin = GlobalOptions {
            endpoint: vec![format!("http://{control}")],
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
        if let Some(library) = &library {
            library.until_ready().await;
            edge.until_library().await;
        }
        let addresses = StandaloneAddresses {
            listen: edge.api_addr(),
            control: plane.grpc_addr(),
            ops: ops_server.addr(),
            tls: settings.edge.tls_cert.is_some(),
        };
        Ok(Self { plane, edge, library, ops: ops.clone(), tasks: tasks.clone(), addresses, admin })
    }

    /// Returns the addresses of the listeners.
    pub fn addresses(&self) -> &StandaloneAddresses {
        &self.addresses
    }

    /// Returns a client of the control port.
    pub async fn admin(&self) -> Result<AdminClient, CommandFailure> {
        AdminClient::connect(&self.admin).await
    }

    /// Returns the token that is cancelled when a part ends without a call of [`Self::stop`].
    pub fn ended(&self) -> CancellationToken {
        self.tasks.stopping()
    }

    /// Stops all parts in order, each with a deadline.
    pub async fn stop(self) {
        self.ops.begin_shutdown();
        self.edge.shutdown().await;
        if let Some(library) = &self.library {
            library.stop().await;
        }
        self.plane.shutdown().await;
        if tokio::time::timeout(LAST_TASKS, self.tasks.shutdown()).await.is_err() {
            tracing::warn!("tasks did not end before the deadline");
        }
    }
}

/// Returns an address that this machine can connect to: loopback for a listener on every interface.
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

    #[tokio::test]
    async fn the_one_cell_of_a_process_is_not_made_one_of_several() {
        let mut settings = Settings::default();
        settings.edge.cells = vec![usher_model::settings::CellSettings::default()];
        let refused = StandaloneUsher::start(&settings, &[]).await;
        assert!(matches!(refused, Err(CommandFailure::Usage(fault)) if fault.contains("edge.cells")));
    }

    #[test]
    fn a_listener_on_every_interface_is_reached_over_loopback() {
        assert_eq!(loopback(SocketAddr::from(([0, 0, 0, 0], 5))), SocketAddr::from(([127, 0, 0, 1], 5)));
        assert_eq!(loopback("[::]:5".parse().expect("is one")), "[::1]:5".parse().expect("is one"));
    }
}
