//! Runs `usher alarms`, which follows the alarms of all control planes.

use std::collections::BTreeSet;

use serde::Serialize;
use usher_proto::v1;

use super::watching;
use crate::{
    admin_client::AdminClient,
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow},
};

#[derive(Serialize)]
struct AlarmRow {
    name: String,
    detail: String,
    /// The control planes that raise it.
    replicas: Vec<String>,
}

impl From<&v1::Alarm> for AlarmRow {
    fn from(alarm: &v1::Alarm) -> Self {
        let replicas =
            alarm.replicas.iter().map(|replica| replica.trim_start_matches("replicas/").to_owned());
        Self { name: alarm.kind.clone(), detail: alarm.detail.clone(), replicas: replicas.collect() }
    }
}

impl TableRow for AlarmRow {
    const COLUMNS: &'static [&'static str] = &["NAME", "REPLICAS", "DETAIL"];

    fn cells(&self) -> Vec<String> {
        vec![self.name.clone(), self.replicas.join(","), self.detail.clone()]
    }
}

/// Writes each alarm that is raised, changed or cleared.
pub(super) async fn watch(admin: &AdminClient, printer: &mut OutputPrinter) -> Result<(), CommandFailure> {
    let begin = async |_| admin.fleet().watch_alarms(v1::WatchAlarmsRequest {}).await;
    let mut told: Vec<v1::Alarm> = Vec::new();
    watching::follow(printer, begin, |printer, message: v1::WatchAlarmsResponse| {
        let now: BTreeSet<&str> = message.alarms.iter().map(|alarm| alarm.kind.as_str()).collect();
        for alarm in told.iter().filter(|alarm| !now.contains(alarm.kind.as_str())) {
            printer.event("cleared", &AlarmRow::from(alarm))?;
        }
        for alarm in message.alarms.iter().filter(|alarm| !told.contains(alarm)) {
            printer.event("alarm", &AlarmRow::from(alarm))?;
        }
        told = message.alarms;
        Ok(())
    })
    .await
}
