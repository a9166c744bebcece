//! Carrying a plan out. What is refused becomes a remark of the plan, and the rest goes on; the next run
//! does what is left.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use tonic::Code;
use usher_model::{id::ServerId, meeting::MeetingKey};
use usher_proto::v1::{self, AdoptOutcome};

use crate::{
    admin_client::{AdminClient, server_name},
    core::{
        migration::{MigrationPlan, NewTenant},
        scalelite::FoundServer,
    },
    exit::CommandFailure,
};

/// Meetings of one request.
const AT_ONCE: usize = 100;

/// Does everything; what was not done is taken out of the plan.
pub(super) async fn carry_out(admin: &AdminClient, plan: &mut MigrationPlan) -> Result<(), CommandFailure> {
    for tenant in std::mem::take(&mut plan.tenants) {
        let name = tenant.found.id.to_string();
        let made = admin.tenants().create_tenant(create_tenant(&tenant)).await;
        if done(plan, "tenant", &name, made)? {
            plan.tenants.push(tenant);
        }
    }
    for server in std::mem::take(&mut plan.servers) {
        let name = server.spec.id.to_string();
        let made = admin.servers().create_server(create_server(&server)).await;
        if done(plan, "server", &name, made)? {
            plan.servers.push(server);
        }
    }
    for (server, keys) in std::mem::take(&mut plan.meetings) {
        for keys in keys.chunks(AT_ONCE) {
            adopt(admin, plan, &server, keys).await?;
        }
    }
    Ok(())
}

/// Tells whether it was done. One thing that is refused does not keep the others from being done; a control
/// plane that cannot be reached does.
fn done<T>(
    plan: &mut MigrationPlan,
    kind: &'static str,
    name: &str,
    made: Result<T, tonic::Status>,
) -> Result<bool, CommandFailure> {
    if made.as_ref().is_err_and(|status| status.code() == Code::AlreadyExists) {
        plan.remark(false, kind, name, "was made by somebody else just now; the next run compares it");
        return Ok(false);
    }
    match made.map_err(CommandFailure::from) {
        Ok(_) => Ok(true),
        Err(CommandFailure::Refused(why)) => {
            plan.remark(true, kind, name, why);
            Ok(false)
        }
        Err(other) => Err(other),
    }
}

async fn adopt(
    admin: &AdminClient,
    plan: &mut MigrationPlan,
    server: &ServerId,
    keys: &[MeetingKey],
) -> Result<(), CommandFailure> {
    let names = keys.iter().map(meeting_name).collect();
    let request = v1::AdoptMeetingsRequest { server: server_name(server.as_str()), names };
    let adopted = match admin.meetings().adopt_meetings(request).await {
        Ok(adopted) => adopted.into_inner().meetings,
        // The server, not the control plane, did not answer; or it was not made.
        Err(status)
            if matches!(
                status.code(),
                Code::Unavailable | Code::NotFound | Code::FailedPrecondition | Code::Aborted
            ) =>
        {
            let why = CommandFailure::from(status).to_string();
            plan.remark(
                true,
                "server",
                server.as_str(),
                format!("{} meetings are not taken over: {why}", keys.len()),
            );
            return Ok(());
        }
        Err(status) => return Err(status.into()),
    };
    for (key, meeting) in keys.iter().zip(adopted) {
        let name = key.to_string();
        let owner = meeting.owner.rsplit('/').next().unwrap_or_default();
        match meeting.outcome() {
            // A poll may have been first, with the same result.
            AdoptOutcome::Adopted | AdoptOutcome::Standing => {
                plan.meetings.entry(server.clone()).or_default().push(key.clone());
            }
            AdoptOutcome::NotRunning => {
                plan.remark(false, "meeting", &name, format!("does not run on {server} (any more)"));
            }
            AdoptOutcome::Elsewhere => {
                let text = format!(
                    "lives on server {owner} here, and on {server} for Scalelite: end one of the two"
                );
                plan.remark(true, "meeting", &name, text);
            }
            AdoptOutcome::Zombie => {
                let text = format!("what runs on {server} is about to be ended; see `usher zombies list`");
                plan.remark(true, "meeting", &name, text);
            }
            AdoptOutcome::Taken => {
                let text = format!("what is called so on {server} is tenant {owner}'s");
                plan.remark(true, "meeting", &name, text);
            }
            AdoptOutcome::Unfit | AdoptOutcome::Unspecified => {
                let text = format!(
                    "its id on {server} could be one of Usher's own for a tenant; it ends without Usher"
                );
                plan.remark(true, "meeting", &name, text);
            }
        }
    }
    Ok(())
}

fn meeting_name(key: &MeetingKey) -> String {
    let id = utf8_percent_encode(key.meeting.as_str(), NON_ALPHANUMERIC);
    format!("tenants/{}/meetings/{id}", key.tenant)
}

fn create_tenant(tenant: &NewTenant) -> v1::CreateTenantRequest {
    let rules: Vec<v1::ParameterRule> = tenant.found.rules.iter().map(Into::into).collect();
    v1::CreateTenantRequest {
        tenant: Some(v1::Tenant {
            secrets: tenant.found.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            hosts: tenant.host.iter().cloned().collect(),
            enabled: Some(true),
            policy: Some(v1::TenantPolicy {
                create_rules: rules.clone(),
                join_rules: rules,
                ..v1::TenantPolicy::default()
            }),
            ..v1::Tenant::default()
        }),
        tenant_id: tenant.found.id.to_string(),
    }
}

fn create_server(server: &FoundServer) -> v1::CreateServerRequest {
    v1::CreateServerRequest {
        server: Some(v1::Server {
            url: server.spec.url.clone(),
            secret: server.spec.secret.expose().to_owned(),
            weight: server.spec.weight,
            tags: server.spec.tags.clone(),
            admin_state: v1::AdminState::from(server.admin).into(),
            ..v1::Server::default()
        }),
        server_id: server.spec.id.to_string(),
        validate_only: false,
    }
}
