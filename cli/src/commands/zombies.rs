//! Runs `usher zombies`.

use serde::Serialize;
use usher_proto::v1;

use super::{confirm, meetings};
use crate::{
    admin_client::AdminClient,
    args::{GlobalOptions, ZombieCommand},
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow},
};

#[derive(Serialize)]
struct ZombieRow {
    tenant: String,
    meeting_id: String,
    server: String,
    state: &'static str,
    internal_id: String,
    reason: String,
    since: Option<String>,
}

impl From<v1::Zombie> for ZombieRow {
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
            tenant: zombie.tenant.trim_start_matches("tenants/").to_owned(),
            meeting_id: zombie.meeting_id,
            internal_id: zombie.internal_id,
            reason: zombie.reason,
        }
    }
}

impl TableRow for ZombieRow {
    const COLUMNS: &'static [&'static str] = &["TENANT", "MEETING", "SERVER", "STATE", "SINCE", "REASON"];

    fn cells(&self) -> Vec<String> {
        let since = self.since.clone().unwrap_or_else(|| "-".into());
        let (tenant, meeting, server) = (self.tenant.clone(), self.meeting_id.clone(), self.server.clone());
        vec![tenant, meeting, server, self.state.to_owned(), since, self.reason.clone()]
    }
}

/// Runs one of the commands about zombies.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: ZombieCommand,
) -> Result<(), CommandFailure> {
    match command {
        ZombieCommand::List => {
            let admin = AdminClient::connect(global).await?;
            let zombies: Vec<ZombieRow> =
                admin.all_zombies().await?.into_iter().map(ZombieRow::from).collect();
            printer.list(&zombies, "no zombies")
        }
        ZombieCommand::Show { meeting, server } => {
            let name = format!("{}/zombies/{server}", meetings::name(&meeting));
            let admin = AdminClient::connect(global).await?;
            let found = admin.meetings().get_zombie(v1::GetZombieRequest { name }).await?.into_inner().zombie;
            printer.one(&ZombieRow::from(found.unwrap_or_default()))
        }
        ZombieCommand::Forget { meeting, server } => {
            let deed =
                format!("forget {}/{} on server {server}, which may still run", meeting.tenant, meeting.id);
            confirm::harm(global, &deed)?;
            let name = format!("{}/zombies/{server}", meetings::name(&meeting));
            let admin = AdminClient::connect(global).await?;
            admin.meetings().forget_zombie(v1::ForgetZombieRequest { name }).await?;
            printer.note("forgotten; if it still runs, a poll finds it again");
            Ok(())
        }
    }
}
