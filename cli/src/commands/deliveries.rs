//! Runs `usher deliveries`. The content of a callback, and its address beyond scheme, host and port, are never
//! shown, because they may hold secrets (I14).

use serde::Serialize;
use usher_proto::v1;

use super::{confirm, known_names};
use crate::{
    admin_client::AdminClient,
    args::{DeliveryCommand, GlobalOptions},
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow, ago},
};

#[derive(Serialize)]
struct DeliveryRow {
    id: String,
    tenant: String,
    meeting_id: String,
    server: String,
    kind: &'static str,
    target: String,
    size_bytes: u64,
    accepted: Option<String>,
    attempts: u32,
    tried_for: String,
    last_error: String,
}

impl From<v1::Delivery> for DeliveryRow {
    fn from(delivery: v1::Delivery) -> Self {
        Self {
            kind: match delivery.kind() {
                v1::CallbackKind::Ended | v1::CallbackKind::EndedMeta => "ended",
                v1::CallbackKind::RecordingReady => "recording-ready",
                v1::CallbackKind::Analytics => "analytics",
                v1::CallbackKind::Other => "other",
                v1::CallbackKind::Webhook => "webhook",
                v1::CallbackKind::Unspecified => "unknown",
            },
            id: delivery.name.trim_start_matches("deliveries/").to_owned(),
            server: delivery.server.trim_start_matches("servers/").to_owned(),
            accepted: delivery.accept_time.map(|time| time.to_string()),
            tried_for: ago(delivery.wait_duration.as_ref()),
            tenant: delivery.tenant.trim_start_matches("tenants/").to_owned(),
            meeting_id: delivery.meeting_id,
            target: delivery.target,
            size_bytes: delivery.size_bytes,
            attempts: delivery.attempts,
            last_error: delivery.last_error,
        }
    }
}

impl TableRow for DeliveryRow {
    const COLUMNS: &'static [&'static str] =
        &["ID", "TENANT", "MEETING", "KIND", "TARGET", "ACCEPTED", "FAILED", "LAST ERROR"];

    fn cells(&self) -> Vec<String> {
        let accepted = self.accepted.clone().unwrap_or_else(|| "-".into());
        vec![
            self.id.clone(),
            self.tenant.clone(),
            self.meeting_id.clone(),
            self.kind.to_owned(),
            self.target.clone(),
            accepted,
            self.attempts.to_string(),
            self.last_error.clone(),
        ]
    }
}

/// Runs one of the commands about waiting callbacks.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: DeliveryCommand,
) -> Result<(), CommandFailure> {
    match command {
        DeliveryCommand::List { tenant } => {
            let admin = AdminClient::connect(global).await?;
            let all = admin.all_deliveries(tenant.as_deref()).await?;
            if all.is_empty() {
                known_names::tenant(&admin, tenant.as_deref()).await?;
            }
            let rows: Vec<DeliveryRow> = all.into_iter().map(DeliveryRow::from).collect();
            printer.list(&rows, "no callback waits")
        }
        DeliveryCommand::Show { id } => {
            let admin = AdminClient::connect(global).await?;
            let request = v1::GetDeliveryRequest { name: name(&id) };
            let found = admin.deliveries().get_delivery(request).await?.into_inner().delivery;
            printer.one(&DeliveryRow::from(found.unwrap_or_default()))
        }
        DeliveryCommand::Retry { id, all } => {
            let admin = AdminClient::connect(global).await?;
            let names: Vec<String> = match id {
                Some(id) => vec![name(&id)],
                None if all => admin.all_deliveries(None).await?.into_iter().map(|one| one.name).collect(),
                None => return Err(CommandFailure::Usage("name a callback, or add --all".into())),
            };
            let count = names.len();
            for name in names {
                let retried = admin.deliveries().retry_delivery(v1::RetryDeliveryRequest { name }).await;
                // With --all, a callback may have been delivered after it was listed.
                match retried {
                    Err(status) if !all || status.code() != tonic::Code::NotFound => {
                        return Err(status.into());
                    }
                    _ => {}
                }
            }
            printer.note(&format!("{count} callbacks will be tried at once"));
            Ok(())
        }
        DeliveryCommand::Drop { id } => {
            confirm::harm(global, &format!("drop callback {id}; its application will never receive it"))?;
            let admin = AdminClient::connect(global).await?;
            admin.deliveries().delete_delivery(v1::DeleteDeliveryRequest { name: name(&id) }).await?;
            printer.note("dropped");
            Ok(())
        }
    }
}

fn name(id: &str) -> String {
    format!("deliveries/{}", id.strip_prefix("deliveries/").unwrap_or(id))
}
