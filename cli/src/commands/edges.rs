//! Runs `usher edges`, which lists the connected edge proxies.

use std::collections::BTreeMap;

use serde::Serialize;
use usher_proto::v1;

use crate::{
    admin_client::AdminClient,
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow, ago},
};

#[derive(Serialize)]
struct EdgeRow {
    id: String,
    address: String,
    version: String,
    applied_revision: u64,
    lag: u64,
    lag_seconds: f64,
    connected_seconds: f64,
    /// Refusals because of a limit, by limit.
    shed: BTreeMap<String, u64>,
    #[serde(skip)]
    texts: [String; 2],
}

impl From<v1::Edge> for EdgeRow {
    fn from(edge: v1::Edge) -> Self {
        Self {
            id: edge.name.trim_start_matches("edges/").to_owned(),
            applied_revision: edge.applied.map_or(0, |revision| revision.seq),
            lag: edge.lag,
            lag_seconds: seconds(edge.lag_time),
            connected_seconds: seconds(edge.connected),
            shed: edge.shed.into_iter().map(|shed| (shed.reason, shed.count)).collect(),
            texts: [ago(edge.lag_time.as_ref()), ago(edge.connected.as_ref())],
            address: edge.address,
            version: edge.version,
        }
    }
}

impl TableRow for EdgeRow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "ADDRESS", "REVISION", "LAG", "BEHIND", "REFUSED", "CONNECTED", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let [behind, connected] = self.texts.clone();
        let (revision, lag) = (self.applied_revision.to_string(), self.lag.to_string());
        let refused = self.shed.values().sum::<u64>().to_string();
        vec![
            self.id.clone(),
            self.address.clone(),
            revision,
            lag,
            behind,
            refused,
            connected,
            self.version.clone(),
        ]
    }
}

fn seconds(time: Option<prost_types::Duration>) -> f64 {
    time.map_or(0.0, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
}

/// Lists the edges that are connected to the control plane.
pub(super) async fn list(admin: &AdminClient, printer: &mut OutputPrinter) -> Result<(), CommandFailure> {
    let edges: Vec<EdgeRow> = admin.all_edges().await?.into_iter().map(EdgeRow::from).collect();
    printer.list(&edges, "no edge is connected to this control plane")
}
