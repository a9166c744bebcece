//! Carries out the plan of a migration. A refused change becomes a remark of the plan and does not stop the others;
//! the next run plans it again.

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
    request_id,
};

/// The number of meetings in one request.
const AT_ONCE: usize = 100;

/// Makes all changes of the plan. Changes that were not made are removed from the plan.
///
/// # Errors
/// The control plane cannot be reached or does not accept the token.
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

/// Tells whether the entry was made. A refused entry becomes a remark, so that the other entries are made.
///
/// # Errors
/// The control plane cannot be reached or does not accept the token.
fn done<T>(
    plan: &mut MigrationPlan,
    kind: &'static str,
    name: &str,
    made: Result<T, tonic::Status>,
) -> Result<bool, CommandFailure> {
    if made.as_ref().is_err_and(|status| status.code() == Code::AlreadyExists) {
        plan.remark(
            false,
            kind,
            name,
            "was created by another client at the same time; the next run compares it",
        );
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
        // The BBB server did not answer, or its entry was not created: other servers can still be migrated.
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
            // A poll may have adopted the meeting first, with the same result.
            AdoptOutcome::Adopted | AdoptOutcome::Standing => {
                plan.meetings.entry(server.clone()).or_default().push(key.clone());
            }
            AdoptOutcome::NotRunning => {
                plan.remark(false, "meeting", &name, format!("does not run on {server}"));
            }
            AdoptOutcome::Elsewhere => {
                let text =
                    format!("is on server {owner} in Usher and on {server} in Scalelite: end one of the two");
                plan.remark(true, "meeting", &name, text);
            }
            AdoptOutcome::Zombie => {
                let text =
                    format!("the meeting on {server} is a zombie that Usher ends; see `usher zombies list`");
                plan.remark(true, "meeting", &name, text);
            }
            AdoptOutcome::Taken => {
                let text = format!("the meeting with this id on {server} belongs to tenant {owner}");
                plan.remark(true, "meeting", &name, text);
            }
            AdoptOutcome::Unfit | AdoptOutcome::Unspecified => {
                let text = format!(
                    "its id on {server} has the form of a scoped id of Usher, so it is not taken over"
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
        request_id: request_id::fresh(),
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
        request_id: request_id::fresh(),
    }
}
