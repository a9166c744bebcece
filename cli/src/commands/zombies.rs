//! `usher zombies`.

use serde::Serialize;
use usher_common::proto::v1;

use crate::{
    client::Admin,
    exit::Failure,
    printer::{Printer, Row},
};

#[derive(Serialize)]
struct Zombie {
    tenant: String,
    meeting_id: String,
    server: String,
    state: &'static str,
    internal_id: String,
    reason: String,
    since: Option<String>,
}

impl From<v1::Zombie> for Zombie {
    fn from(zombie: v1::Zombie) -> Self {
        Self {
            state: match zombie.state() {
                v1::ZombieState::Waiting => "waiting",
                v1::ZombieState::Due => "due",
                v1::ZombieState::Ending => "ending",
                v1::ZombieState::Unspecified => "unknown",
            },
            server: zombie.server.trim_start_matches("servers/").to_owned(),
            since: zombie.since_time.map(|time| time.to_string()),
            tenant: zombie.tenant,
            meeting_id: zombie.meeting_id,
            internal_id: zombie.internal_id,
            reason: zombie.reason,
        }
    }
}

impl Row for Zombie {
    const COLUMNS: &'static [&'static str] = &["TENANT", "MEETING", "SERVER", "STATE", "SINCE", "REASON"];

    fn cells(&self) -> Vec<String> {
        let since = self.since.clone().unwrap_or_else(|| "-".into());
        let (tenant, meeting, server) = (self.tenant.clone(), self.meeting_id.clone(), self.server.clone());
        vec![tenant, meeting, server, self.state.to_owned(), since, self.reason.clone()]
    }
}

/// Lists the zombies.
pub(super) async fn list(admin: &Admin, printer: &mut Printer) -> Result<(), Failure> {
    let zombies: Vec<Zombie> = admin.all_zombies().await?.into_iter().map(Zombie::from).collect();
    printer.list(&zombies, "no zombies")
}
