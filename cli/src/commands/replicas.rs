//! Runs `usher replicas`, which lists the control planes of the cluster.

use serde::Serialize;
use usher_proto::v1;

use crate::{
    admin_client::AdminClient,
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow},
};

#[derive(Serialize)]
struct ReplicaRow {
    id: String,
    role: &'static str,
    /// Whether it is the one that answers.
    answering: bool,
    version: String,
    started: Option<String>,
    edges: u32,
    /// Names of the alarms that it raises.
    alarms: Vec<String>,
}

impl From<v1::Replica> for ReplicaRow {
    fn from(replica: v1::Replica) -> Self {
        Self {
            role: match replica.role() {
                v1::ReplicaRole::Leader => "leader",
                v1::ReplicaRole::Follower => "follower",
                v1::ReplicaRole::Unspecified => "unknown",
            },
            id: replica.name.trim_start_matches("replicas/").to_owned(),
            answering: replica.answering,
            version: replica.version,
            started: replica.start_time.map(|time| time.to_string()),
            edges: replica.edges,
            alarms: replica.alarms.into_iter().map(|alarm| alarm.kind).collect(),
        }
    }
}

impl TableRow for ReplicaRow {
    const COLUMNS: &'static [&'static str] = &["ID", "ROLE", "EDGES", "ALARMS", "STARTED", "VERSION"];

    fn cells(&self) -> Vec<String> {
        let alarms = if self.alarms.is_empty() { "-".to_owned() } else { self.alarms.join(",") };
        let here = if self.answering { " (answers)" } else { "" };
        vec![
            self.id.clone(),
            format!("{}{here}", self.role),
            self.edges.to_string(),
            alarms,
            self.started.clone().unwrap_or_else(|| "-".into()),
            self.version.clone(),
        ]
    }
}

/// Lists the control planes that live.
pub(super) async fn list(admin: &AdminClient, printer: &mut OutputPrinter) -> Result<(), CommandFailure> {
    let replicas: Vec<ReplicaRow> = admin.all_replicas().await?.into_iter().map(ReplicaRow::from).collect();
    printer.list(&replicas, "no control plane lives")
}
