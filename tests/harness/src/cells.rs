//! Several clusters, each with its own etcd, as the cells of common edges (ADR 39). The servers of all cells have
//! the same ids, as those of clusters that were set up apart.

use std::path::Path;

use anyhow::Result;

use crate::{
    client::BbbTestClient,
    cluster::{ClusterBuilder, SECRET, TestCluster, environment_name, quick_settings},
    process::RunningProgram,
    programs::ProgramKind,
};

/// The names of the cells, in the order of the configuration.
pub const CELLS: [&str; 2] = ["north", "south"];

/// Two cells with the edges that follow both.
#[derive(Debug)]
pub struct CellFleet {
    /// The edges. Fields are dropped in this order: edges end before the cells.
    pub edges: Vec<RunningProgram>,
    /// The clusters; each has no edge of its own.
    pub cells: Vec<TestCluster>,
    settings: Vec<(String, String)>,
}

impl CellFleet {
    /// Starts the cells as `builder` says, and one edge with these settings.
    ///
    /// # Errors
    /// When a part does not start.
    pub async fn start(builder: ClusterBuilder, settings: &[(&str, &str)]) -> Result<Self> {
        let settings = settings.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let mut fleet = Self { edges: Vec::new(), cells: Vec::new(), settings };
        for _ in CELLS {
            fleet.cells.push(builder.clone().edges(0).start().await?);
        }
        fleet.add_edge().await?;
        Ok(fleet)
    }

    /// Starts one more edge, which follows all cells.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn add_edge(&mut self) -> Result<()> {
        let edge = self.edge(None).await?;
        self.edges.push(edge);
        Ok(())
    }

    /// Keeps the last good tables of edges that start from now on in a file in this folder.
    pub fn keep_tables(&mut self, folder: &Path) {
        let file = folder.join("table").display().to_string();
        self.settings.push(("edge.last_good".to_owned(), file));
    }

    /// Ends an edge at once (SIGKILL) and starts it again at the same address.
    ///
    /// # Errors
    /// When it does not become ready.
    pub async fn replace_edge(&mut self, edge: usize) -> Result<()> {
        let address = self.edges[edge].address("listen").to_string();
        self.edges[edge].kill()?;
        self.edges[edge] = self.edge(Some(&address)).await?;
        Ok(())
    }

    async fn edge(&self, listen: Option<&str>) -> Result<RunningProgram> {
        let mut settings = quick_settings();
        let cells: Vec<serde_json::Value> = CELLS
            .iter()
            .zip(&self.cells)
            .map(|(name, cluster)| {
                let planes = cluster.control_planes.iter().map(|plane| plane.address("control"));
                let planes: Vec<String> = planes.map(|address| format!("http://{address}")).collect();
                serde_json::json!({ "name": name, "control_plane": planes })
            })
            .collect();
        let name = format!("edge-{}", self.edges.len());
        let cells = serde_json::Value::from(cells).to_string();
        let fixed = [
            ("listen", listen.unwrap_or("127.0.0.1:0")),
            ("ops", "127.0.0.1:0"),
            ("edge.id", &name),
            ("edge.cells", &cells),
        ];
        let own = self.settings.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        settings.extend(
            fixed.into_iter().chain(own).map(|(key, value)| (environment_name(key), value.to_owned())),
        );
        RunningProgram::start(&name, ProgramKind::EdgeProxy, &[], &settings).await
    }

    /// Returns a BBB client of one edge, for tenant `default`.
    pub fn client(&self, edge: usize) -> BbbTestClient {
        BbbTestClient::new(self.edges[edge].address("listen"), SECRET)
    }

    /// Returns a BBB client of the first edge for a tenant whose secret is its name.
    pub fn tenant(&self, name: &str) -> BbbTestClient {
        self.client(0).for_tenant(name, name)
    }
}
