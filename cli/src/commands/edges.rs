//! Runs `usher edges`, which lists the connected edge proxies.

use std::collections::BTreeMap;

use serde::Serialize;
use usher_proto::{time::parse_duration, v1};

use super::{removed::RemovedRow, watching};
use crate::{
    admin_client::AdminClient,
    args::{EdgeCommand, GlobalOptions},
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow, ago},
};

#[derive(Serialize)]
struct EdgeRow {
    id: String,
    address: String,
    version: String,
    /// Name of the control plane to which the edge is connected.
    replica: String,
    /// Null if that is another control plane than the one that answers.
    applied_revision: Option<u64>,
    lag: Option<u64>,
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
            replica: edge.replica.trim_start_matches("replicas/").to_owned(),
            applied_revision: edge.applied.map(|revision| revision.seq),
            lag: edge.applied.map(|_| edge.lag),
            lag_seconds: seconds(edge.lag_duration),
            connected_seconds: seconds(edge.connection_age),
            shed: edge.shed.into_iter().map(|shed| (shed.reason, shed.count)).collect(),
            texts: [ago(edge.lag_duration.as_ref()), ago(edge.connection_age.as_ref())],
            address: edge.address,
            version: edge.version,
        }
    }
}

impl TableRow for EdgeRow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "ADDRESS", "REPLICA", "REVISION", "LAG", "BEHIND", "REFUSED", "CONNECTED", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let [behind, connected] = self.texts.clone();
        let known = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let (revision, lag) = (known(self.applied_revision), known(self.lag));
        let refused = self.shed.values().sum::<u64>().to_string();
        vec![
            self.id.clone(),
            self.address.clone(),
            self.replica.clone(),
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
    time.and_then(|time| parse_duration(&time).ok()).unwrap_or_default().as_secs_f64()
}

/// Runs one of the commands about edges.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: EdgeCommand,
) -> Result<(), CommandFailure> {
    let admin = AdminClient::connect(global).await?;
    match command {
        EdgeCommand::List => {
            let edges: Vec<EdgeRow> = admin.all_edges().await?.into_iter().map(EdgeRow::from).collect();
            printer.list(&edges, "no edge is connected")
        }
        EdgeCommand::Watch => {
            let begin = async |_| admin.edges().watch_edges(v1::WatchEdgesRequest {}).await;
            watching::follow(printer, begin, |printer, message: v1::WatchEdgesResponse| {
                for edge in message.edges {
                    printer.event("edge", &EdgeRow::from(edge))?;
                }
                message.removed.iter().try_for_each(|name| printer.event("removed", &RemovedRow::new(name)))
            })
            .await
        }
        EdgeCommand::Show { id } => {
            let name = format!("edges/{}", id.strip_prefix("edges/").unwrap_or(&id));
            let found = admin.edges().get_edge(v1::GetEdgeRequest { name }).await?.into_inner().edge;
            printer.one(&EdgeRow::from(found.unwrap_or_default()))
        }
    }
}
