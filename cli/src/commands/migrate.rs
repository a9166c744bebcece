//! Runs `usher migrate`: reads another balancer, plans, carries the plan out and reports the rest.

mod carry_out;
mod rows;

use usher_bbb::secret::Secret;
use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};
use usher_proto::v1;

use self::{carry_out::carry_out, rows::rows};
use crate::{
    admin_client::{AdminClient, tenant_name},
    args::{GlobalOptions, MigrationCommand, ScaleliteArgs},
    core::{
        migration::{CurrentTenant, UsherInventory, plan},
        scalelite::{self, ScaleliteInventory},
    },
    exit::CommandFailure,
    fleet_sync::current_servers,
    printer::OutputPrinter,
    scalelite_redis::ScaleliteRedis,
};

/// Runs the migration from the balancer that was named.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: MigrationCommand,
) -> Result<(), CommandFailure> {
    match command {
        MigrationCommand::Scalelite(args) => from_scalelite(global, printer, args).await,
    }
}

async fn from_scalelite(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    args: ScaleliteArgs,
) -> Result<(), CommandFailure> {
    let redis =
        ScaleliteRedis::connect(&args.redis, args.namespace.trim_end_matches(':'), global.timeout).await?;
    let found = scalelite::read(&redis.read().await?);
    let admin = AdminClient::connect(global).await?;
    let usher = usher(&admin, &found).await?;
    let url_host = args.url_host.as_deref().map(str::trim).filter(|host| !host.is_empty());
    let mut plan = plan(&usher, &found, url_host);
    let [tenants, servers, meetings] = plan.already_here;
    printer.note(&format!(
        "Scalelite has {} tenants, {} servers, {} meetings ({} more have ended); of these, Usher has {tenants} tenants, \
         {servers} servers and {meetings} meetings already",
        found.tenants.len(),
        found.servers.len(),
        found.meetings.len(),
        found.ended
    ));
    if args.dry_run {
        printer.note("dry run: no change is made");
    } else {
        carry_out(&admin, &mut plan).await?;
    }
    printer.list(&rows(&plan), "no change is needed")?;
    match plan.remarks.iter().filter(|remark| remark.is_conflict).count() {
        0 => Ok(()),
        conflicts => Err(CommandFailure::Refused(format!(
            "{conflicts} of these entries need a decision; the changes that were made remain, and the next run makes the others"
        ))),
    }
}

/// Returns the servers, tenants and meetings of Usher. Only the secrets of tenants that were found are requested.
async fn usher(admin: &AdminClient, found: &ScaleliteInventory) -> Result<UsherInventory, CommandFailure> {
    let mut tenants = Vec::new();
    for listed in admin.all_tenants().await? {
        let id = listed.name.trim_start_matches("tenants/");
        let view = if found.tenants.iter().any(|tenant| tenant.id.as_str() == id) {
            v1::TenantView::RevealSecrets
        } else {
            v1::TenantView::Unspecified
        };
        let request = v1::GetTenantRequest { name: tenant_name(id), view: view.into() };
        let tenant = admin.tenants().get_tenant(request).await?.into_inner().tenant.unwrap_or_default();
        tenants.push(CurrentTenant {
            id: TenantId::parse(id).map_err(malformed_answer)?,
            secrets: tenant.secrets.iter().map(|secret| Secret::new(secret)).collect(),
            hosts: tenant.hosts.iter().map(|host| host.to_ascii_lowercase()).collect(),
        });
    }
    let meetings = admin.all_meetings().await?.into_iter().map(|meeting| {
        let tenant =
            TenantId::parse(meeting.tenant.trim_start_matches("tenants/")).map_err(malformed_answer)?;
        let key = MeetingKey::new(tenant, MeetingId::parse(&meeting.meeting_id).map_err(malformed_answer)?);
        let server =
            ServerId::parse(meeting.server.trim_start_matches("servers/")).map_err(malformed_answer)?;
        Ok((key, server))
    });
    let meetings = meetings.collect::<Result<_, CommandFailure>>()?;
    Ok(UsherInventory { servers: current_servers(admin).await?, tenants, meetings })
}

fn malformed_answer(error: impl std::fmt::Display) -> CommandFailure {
    CommandFailure::Refused(format!("the answer of the control plane is malformed: {error}"))
}
