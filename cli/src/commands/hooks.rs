//! Runs `usher hooks`. Of the address of a webhook only scheme, host and port are shown, because the rest may hold
//! secrets (I14).

use serde::Serialize;
use usher_proto::v1;

use super::{confirm, known_names};
use crate::{
    admin_client::AdminClient,
    args::{GlobalOptions, HookCommand},
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow},
};

#[derive(Serialize)]
struct HookRow {
    id: String,
    tenant: String,
    target: String,
    meeting_id: String,
    events: Vec<String>,
    raw: bool,
    created: Option<String>,
}

impl From<v1::Hook> for HookRow {
    fn from(hook: v1::Hook) -> Self {
        let name = hook.name.trim_start_matches("tenants/");
        let (tenant, id) = name.split_once("/hooks/").unwrap_or_default();
        Self {
            id: id.to_owned(),
            tenant: tenant.to_owned(),
            target: hook.target,
            meeting_id: hook.meeting_id,
            events: hook.event_ids,
            raw: hook.raw,
            created: hook.create_time.map(|time| time.to_string()),
        }
    }
}

impl TableRow for HookRow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "TENANT", "TARGET", "MEETING", "EVENTS", "RAW", "REGISTERED"];

    fn cells(&self) -> Vec<String> {
        let all = |text: &str| if text.is_empty() { "all".to_owned() } else { text.to_owned() };
        vec![
            self.id.clone(),
            self.tenant.clone(),
            self.target.clone(),
            all(&self.meeting_id),
            all(&self.events.join(",")),
            if self.raw { "yes" } else { "no" }.to_owned(),
            self.created.clone().unwrap_or_else(|| "-".into()),
        ]
    }
}

/// Runs one of the commands about webhooks.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: HookCommand,
) -> Result<(), CommandFailure> {
    match command {
        HookCommand::List { tenant } => {
            let admin = AdminClient::connect(global).await?;
            let all = admin.all_hooks(tenant.as_deref()).await?;
            if all.is_empty() {
                known_names::tenant(&admin, tenant.as_deref()).await?;
            }
            let rows: Vec<HookRow> = all.into_iter().map(HookRow::from).collect();
            printer.list(&rows, "no webhook is registered")
        }
        HookCommand::Show { id, tenant } => {
            let admin = AdminClient::connect(global).await?;
            let request = v1::GetHookRequest {
                name: format!("tenants/{tenant}/hooks/{id}"),
                view: v1::HookView::Unspecified.into(),
            };
            let found = admin.hooks().get_hook(request).await?.into_inner().hook;
            printer.one(&HookRow::from(found.unwrap_or_default()))
        }
        HookCommand::Remove { id, tenant } => {
            confirm::harm(
                global,
                &format!("remove webhook {id}; its application receives no more events from it"),
            )?;
            let admin = AdminClient::connect(global).await?;
            let name = format!("tenants/{tenant}/hooks/{id}");
            admin.hooks().delete_hook(v1::DeleteHookRequest { name }).await?;
            printer.note(&format!("webhook {id} is removed"));
            Ok(())
        }
    }
}
