//! The cells that an edge follows: their tables, and the index of their tenants (ADR 40).
//!
//! With one cell there is no index, and the table is used directly. With several, one task makes the index anew
//! when the way to a tenant has changed in any table, and readers load it by one pointer. The index is small
//! beside the tables, and changes that arrive while it is made are taken together.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use futures::future::{join_all, select_all};
use prometheus_client::metrics::gauge::Gauge;
use tokio::{sync::watch, time::Instant};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};
use usher_model::id::CellName;

use super::{current_table::CurrentTable, table::LiveTable};
use crate::core::{
    cell_readiness::{ALL_CELLS_WITHIN, CellReadiness, readiness},
    cell_routes::{CellClaims, CellRoutes, ClaimConflict},
};

/// The rest after the index was made, as a multiple of the time that it took: an import of many tenants changes the
/// tables all the time.
const REST: u32 = 10;
/// The largest number of conflicts that one log line names.
const NAMED_CONFLICTS: usize = 10;

/// One cell that an edge follows.
#[derive(Debug, Clone)]
pub struct FollowedCell {
    /// The name; `None` for the only cell of an edge.
    pub name: Option<CellName>,
    /// The table of the cell.
    pub current: Arc<CurrentTable>,
}

/// The cells that an edge follows, in the order of the configuration.
#[derive(Debug)]
pub struct CellDirectory {
    cells: Vec<FollowedCell>,
    routes: ArcSwap<CellRoutes>,
    /// Notified after the index has changed.
    changed: watch::Sender<()>,
    /// The number of tenants and hosts that several cells have.
    conflicts: Gauge,
    started: Instant,
}

impl CellDirectory {
    /// Returns the directory of these cells. `conflicts` shows the number of tenants and hosts that several cells
    /// have.
    pub fn new(cells: Vec<FollowedCell>, conflicts: Gauge) -> Self {
        let directory = Self {
            cells,
            routes: ArcSwap::default(),
            changed: watch::Sender::new(()),
            conflicts,
            started: Instant::now(),
        };
        directory.index();
        directory
    }

    /// Returns the table of the only cell; `None` if there are several cells.
    pub fn only(&self) -> Option<&Arc<CurrentTable>> {
        match &*self.cells {
            [only] => Some(&only.current),
            _ => None,
        }
    }

    /// Returns the cells.
    pub fn cells(&self) -> &[FollowedCell] {
        &self.cells
    }

    /// Returns the table of the cell at this place of the configuration, if there is one.
    pub fn table(&self, cell: usize) -> Option<&Arc<CurrentTable>> {
        self.cells.get(cell).map(|cell| &cell.current)
    }

    /// Returns the tables that were read.
    pub fn tables(&self) -> Vec<Arc<LiveTable>> {
        self.cells.iter().filter_map(|cell| cell.current.load_full()).collect()
    }

    /// Returns the number of tenants, including removed tenants of one cell whose meetings still exist.
    pub fn tenants(&self) -> usize {
        match self.only() {
            Some(current) => current.load().as_ref().map_or(0, |table| table.tenants().len()),
            None => self.routes().len(),
        }
    }

    /// Returns the index of the tenants. With one cell it is empty.
    pub fn routes(&self) -> arc_swap::Guard<Arc<CellRoutes>> {
        self.routes.load()
    }

    /// Waits until the index is made of the tables of all cells, for at most `patience`.
    pub async fn all_read(&self, patience: Duration) {
        let mut changed = self.changed.subscribe();
        let all_read = changed.wait_for(|()| !self.routes().has_unread());
        let _ = tokio::time::timeout(patience, all_read).await;
    }

    /// Checks whether the edge is ready.
    ///
    /// # Errors
    /// Returns the tables that it waits for.
    pub fn ready(&self) -> Result<(), String> {
        let unread: Vec<&FollowedCell> =
            self.cells.iter().filter(|cell| cell.current.revision().is_none()).collect();
        let all = self.cells.len();
        match readiness(all - unread.len(), all, self.started.elapsed()) {
            CellReadiness::Ready => Ok(()),
            CellReadiness::Waiting => {
                let names: Vec<&str> =
                    unread.iter().filter_map(|cell| Some(cell.name.as_ref()?.as_str())).collect();
                Err(match &*names {
                    [] => "there is no complete table yet".to_owned(),
                    names => format!("there is no complete table yet of cells {}", names.join(", ")),
                })
            }
        }
    }

    /// Waits until the edge is ready.
    pub async fn until_ready(&self) {
        let all = join_all(self.cells.iter().map(|cell| cell.current.ready()));
        let some = async {
            tokio::time::sleep_until(self.started + ALL_CELLS_WITHIN).await;
            select_all(self.cells.iter().map(|cell| Box::pin(cell.current.ready()))).await;
        };
        tokio::select! {
            _ = all => {}
            () = some => {}
        }
    }

    /// Waits until a cell has a recordings library.
    pub async fn until_library(&self) {
        select_all(self.cells.iter().map(|cell| Box::pin(cell.current.until_library()))).await;
    }

    /// Keeps the index up to date until `stop` is cancelled.
    pub async fn run(self: Arc<Self>, stop: CancellationToken) -> anyhow::Result<()> {
        let mut ways: Vec<_> = self.cells.iter().map(|cell| cell.current.follow_ways()).collect();
        loop {
            // The receivers were made before the index is, so that no change is missed.
            let (begun, directory) = (Instant::now(), Arc::clone(&self));
            tokio::task::spawn_blocking(move || directory.index()).await?;
            let pause = begun.elapsed() * REST;
            let next = async {
                tokio::time::sleep(pause).await;
                select_all(ways.iter_mut().map(|ways| Box::pin(ways.changed()))).await.0
            };
            tokio::select! {
                changed = next => changed?,
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    /// Makes the index anew, if there are several cells.
    fn index(&self) {
        if self.only().is_some() {
            return;
        }
        let claims = self.cells.iter().map(|cell| {
            let table = cell.current.load_full()?;
            Some(CellClaims { epoch: table.revision().epoch, tenants: table.claims() })
        });
        let routes = CellRoutes::new(&claims.collect::<Vec<_>>());
        self.conflicts.set(i64::try_from(routes.conflicts().len()).unwrap_or(i64::MAX));
        let before = self.routes.swap(Arc::new(routes));
        self.changed.send_replace(());
        self.report(&before, &self.routes());
    }

    /// Logs conflicts when they begin and when the last one has ended.
    fn report(&self, before: &CellRoutes, now: &CellRoutes) {
        let new =
            now.conflicts().iter().filter(|conflict| before.conflicts().binary_search(conflict).is_err());
        let new: Vec<String> = new.map(|conflict| self.named(conflict)).collect();
        if !new.is_empty() {
            let (count, named) = (new.len(), new[..count_named(new.len())].join("; "));
            warn!(count, conflicts = named, "several cells have the same: the first has it");
        } else if now.conflicts().is_empty() && !before.conflicts().is_empty() {
            info!("cells have no tenant in common any more");
        }
    }

    fn named(&self, conflict: &ClaimConflict) -> String {
        let (kind, name, cells) = match conflict {
            ClaimConflict::Tenant(tenant, cells) => ("tenant", tenant.as_str(), cells),
            ClaimConflict::Host(host, cells) => ("host", host.as_str(), cells),
            ClaimConflict::Cluster(cells) => ("the same cluster", "", cells),
        };
        let cells = cells.iter().filter_map(|cell| Some(self.cells.get(*cell)?.name.as_ref()?.as_str()));
        format!("{kind} {name} in {}", cells.collect::<Vec<_>>().join(", "))
    }
}

fn count_named(conflicts: usize) -> usize {
    conflicts.min(NAMED_CONFLICTS)
}

#[cfg(test)]
mod tests {
    use usher_bbb::secret::Secret;
    use usher_model::{
        id::TenantId,
        revision::Revision,
        routing::{RoutingDelta, TenantRoute},
    };
    use usher_runtime::tasks::TaskGroup;

    use super::*;
    use crate::core::cell_routes::CellChoice;

    const PATIENCE: Duration = Duration::from_secs(20);

    fn cell(name: &str) -> FollowedCell {
        FollowedCell { name: Some(CellName::parse(name).expect("is a name")), current: Arc::default() }
    }

    /// Adds a tenant to the table of a cell.
    fn add(cell: &FollowedCell, tenant: &str) {
        let id = TenantId::parse(tenant).expect("is an id");
        let base = cell.current.revision().expect("has a table");
        let mut delta = RoutingDelta::new(base, Revision::new(base.epoch, base.seq + 1));
        let route = TenantRoute { secrets: vec![Secret::new("s")], ..TenantRoute::new(id.clone()) };
        delta.tenants.insert(id, Some(route));
        cell.current.apply(&delta).expect("follows");
    }

    async fn until(directory: &CellDirectory, holds: impl Fn(&CellRoutes) -> bool) {
        let mut changed = directory.changed.subscribe();
        let held = changed.wait_for(|()| holds(&directory.routes()));
        tokio::time::timeout(PATIENCE, held).await.expect("in time").expect("the directory lives");
    }

    #[tokio::test]
    async fn the_index_follows_every_table_and_shows_conflicts() {
        let (north, south, conflicts) = (cell("north"), cell("south"), Gauge::default());
        let directory = Arc::new(CellDirectory::new(vec![north.clone(), south.clone()], conflicts.clone()));
        let tasks = TaskGroup::new();
        let running = Arc::clone(&directory);
        tasks.spawn("index", |stop| running.run(stop));
        assert!(directory.ready().is_err_and(|reason| reason.contains("north, south")));
        north.current.replace(LiveTable::empty(Revision::new(1, 1)));
        add(&north, "a");
        until(&directory, |routes| matches!(routes.choose(Some("a"), None), CellChoice::Claimed { .. }))
            .await;
        assert_eq!(directory.routes().choose(Some("b"), None), CellChoice::Unread);
        assert!(directory.ready().is_err_and(|reason| reason.ends_with("south")));
        south.current.replace(LiveTable::empty(Revision::new(2, 5)));
        add(&south, "b");
        until(&directory, |routes| routes.len() == 2 && !routes.has_unread()).await;
        directory.all_read(PATIENCE).await;
        assert_eq!(directory.ready(), Ok(()));
        assert_eq!((directory.tenants(), conflicts.get()), (2, 0));
        add(&north, "b");
        until(&directory, |routes| routes.conflicts().len() == 1).await;
        assert_eq!(conflicts.get(), 1);
        tasks.shutdown().await;
    }

    #[tokio::test(start_paused = true)]
    async fn an_edge_is_ready_after_a_while_with_the_tables_that_it_has() {
        let (north, south) = (cell("north"), cell("south"));
        let directory = CellDirectory::new(vec![north, south.clone()], Gauge::default());
        south.current.replace(LiveTable::empty(Revision::new(1, 1)));
        assert!(directory.ready().is_err());
        directory.until_ready().await;
        assert_eq!(directory.started.elapsed(), ALL_CELLS_WITHIN);
        assert_eq!(directory.ready(), Ok(()));
    }
}
