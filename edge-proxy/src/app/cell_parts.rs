//! Builds the parts of one cell: its table, the clients of its control planes and servers, its tasks (ADR 39).

use std::{net::SocketAddr, sync::Arc};

use prometheus_client::metrics::counter::Counter;
use usher_bbb::secret::Secret;
use usher_model::{
    id::{CellName, EdgeId, IdError},
    settings::{CellSettings, Settings},
};
use usher_runtime::{
    control_planes::{ControlPlanes, ControlPlanesError},
    ops::OpsHandle,
    server_connector::ConnectorError,
    tasks::TaskGroup,
};

use crate::{
    control::{
        callbacks::CallbackClient,
        cell_directory::FollowedCell,
        hooks::HookClient,
        last_good::{self, LastGoodFile},
        library::LibraryClient,
        placement::PlacementClient,
        subscriber::{EdgeIdentity, RoutingSubscriber, SubscriberTimeouts},
    },
    core::admission::ServerLanes,
    metrics::StreamMetrics,
    server::{CallbackPorts, CellPorts, SharedPorts},
    upstream::{CallBudgets, PassiveReports, ServerClient, SharedLists, SharedReads},
};

/// The reasons why an edge cannot follow a cell.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The name of a cell is not valid.
    #[error("name of a cell")]
    Name(#[from] IdError),
    /// The addresses of the control planes or the token cannot be used.
    #[error("control planes of the edge")]
    ControlPlanes(#[from] ControlPlanesError),
    /// The system's certificates cannot be used.
    #[error("client for BBB servers")]
    ServerClient(#[from] ConnectorError),
}

/// The parts of a cell from which all others are made.
#[derive(Debug)]
pub(super) struct CellParts {
    pub(super) followed: FollowedCell,
    pub(super) planes: ControlPlanes,
    /// The token for the ports of the cell.
    token: Option<Secret>,
    last_good: Option<LastGoodFile>,
    /// Whether the table came from disk.
    from_disk: bool,
}

impl CellParts {
    /// Returns the parts of every cell, in the order of the configuration. Each table that is on disk is loaded.
    ///
    /// # Errors
    /// A cell cannot be followed.
    pub(super) fn of(settings: &Settings) -> Result<Vec<Self>, CellError> {
        if settings.edge.cells.is_empty() {
            let file = settings.edge.last_good.clone().map(LastGoodFile::of_edge);
            let token = settings.admin.token.as_ref();
            let planes = ControlPlanes::new(&settings.edge.control_plane, token)?;
            return Ok(vec![Self::new(None, (planes, token), file)]);
        }
        settings.edge.cells.iter().map(|cell| Self::of_named(settings, cell)).collect()
    }

    fn of_named(settings: &Settings, cell: &CellSettings) -> Result<Self, CellError> {
        let name = CellName::parse(&cell.name)?;
        let token = token(settings, cell);
        let planes = ControlPlanes::new(&cell.control_plane, token)?;
        let file = settings.edge.last_good.as_ref();
        let file = file.map(|path| LastGoodFile::of_cell(path, &name, &cell.control_plane));
        Ok(Self::new(Some(name), (planes, token), file))
    }

    fn new(
        name: Option<CellName>,
        (planes, token): (ControlPlanes, Option<&Secret>),
        last_good: Option<LastGoodFile>,
    ) -> Self {
        let followed = FollowedCell { name, current: Arc::default() };
        let from_disk = last_good.as_ref().is_some_and(|file| last_good::load_into(&followed.current, file));
        Self { followed, planes, token: token.cloned(), last_good, from_disk }
    }

    /// Returns the ports of the cell. `kept_lists` bounds the memory of lists that are kept, in bytes.
    ///
    /// # Errors
    /// The client of the servers cannot be made.
    pub(super) fn ports(
        &self,
        settings: &Settings,
        ops: &OpsHandle,
        (keys, hedges): (CallbackClient, Counter),
        kept_lists: usize,
        shared: &SharedPorts,
    ) -> Result<CellPorts, CellError> {
        let SharedPorts { bytes, compute, tasks, metrics } = shared;
        let placement = PlacementClient::new(self.planes.clone(), hedges);
        let passive = PassiveReports::new(placement.clone(), tasks.clone());
        let budgets = CallBudgets {
            lanes: ServerLanes::new(settings.edge.max_server_reads, settings.edge.max_server_writes),
            bytes: bytes.clone(),
            compute: compute.clone(),
            shed: metrics.shed.clone(),
        };
        let upstream = ServerClient::new(settings.health.connect_timeout, ops.pending(), passive, budgets)?;
        let callbacks = settings.public_url.clone().map(|public_url| CallbackPorts {
            public_url,
            callbacks: keys,
            hooks: HookClient::new(self.planes.clone()),
        });
        Ok(CellPorts {
            current: Arc::clone(&self.followed.current),
            placement,
            callbacks,
            upstream,
            library: settings
                .recordings
                .library
                .then(|| LibraryClient::new(Arc::clone(&self.followed.current), self.token.clone())),
            reads: SharedReads::new(tasks.clone(), metrics.shared_reads.clone()),
            lists: SharedLists::new(
                settings.meetings.share_lists_for,
                kept_lists,
                tasks.clone(),
                metrics.shared_reads.clone(),
            ),
        })
    }

    /// Starts the tasks of the cell: the routing stream, and the file of the last good table.
    pub(super) fn follow(self, id: &EdgeId, api: SocketAddr, metrics: StreamMetrics, tasks: &TaskGroup) {
        let current = self.followed.current;
        if let Some(file) = self.last_good {
            let current = Arc::clone(&current);
            tasks.spawn("last-good", |stop| last_good::keep(current, file, stop));
        }
        let subscriber = RoutingSubscriber {
            planes: self.planes,
            current,
            identity: EdgeIdentity { id: id.clone(), address: api.to_string() },
            patience: SubscriberTimeouts::default(),
            metrics,
            from_disk: self.from_disk,
        };
        tasks.spawn("subscriber", |stop| subscriber.run(stop));
    }
}

/// Returns the token for the control port of a cell.
fn token<'s>(settings: &'s Settings, cell: &'s CellSettings) -> Option<&'s Secret> {
    cell.token.as_ref().or(settings.admin.token.as_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_has_its_own_token_or_that_of_the_edge() {
        let mut settings = Settings::default();
        let own = CellSettings { token: Some(Secret::new("own")), ..CellSettings::default() };
        assert_eq!(token(&settings, &CellSettings::default()), None);
        settings.admin.token = Some(Secret::new("edge"));
        assert_eq!(token(&settings, &own), Some(&Secret::new("own")));
        assert_eq!(token(&settings, &CellSettings::default()), Some(&Secret::new("edge")));
    }
}
