//! Runs `usher tenants`.

mod policy;
mod row;

use usher_proto::v1;

use self::row::TenantRow;
use super::confirm;
use crate::{
    admin_client::{AdminClient, tenant_name},
    args::{GlobalOptions, TenantAddArgs, TenantCommand, TenantSecretCommand, TenantUpdateArgs},
    exit::CommandFailure,
    printer::OutputPrinter,
    request_id,
};

/// Runs one of the commands about tenants.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: TenantCommand,
) -> Result<(), CommandFailure> {
    // The prompt comes before the connection: an answer that takes minutes must not meet a timeout.
    match &command {
        TenantCommand::Remove { id } => {
            confirm::harm(global, &format!("remove tenant {id}; no user can join its meetings any more"))?;
        }
        TenantCommand::Secret(TenantSecretCommand::Remove { id, .. }) => {
            confirm::harm(global, &format!("revoke a secret of tenant {id}"))?;
        }
        _ => {}
    }
    let admin = AdminClient::connect(global).await?;
    let mut service = admin.tenants();
    let tenant = match command {
        TenantCommand::List => {
            let tenants: Vec<TenantRow> =
                admin.all_tenants().await?.into_iter().map(TenantRow::from).collect();
            return printer.list(&tenants, "no tenants; add one with `usher tenants add ID --secret S`");
        }
        TenantCommand::Show { id, reveal } => {
            let view = if reveal { v1::TenantView::RevealSecrets } else { v1::TenantView::Unspecified };
            let request = v1::GetTenantRequest { name: tenant_name(&id), view: view.into() };
            service.get_tenant(request).await?.into_inner().tenant
        }
        TenantCommand::Add(args) => service.create_tenant(new_tenant(args)).await?.into_inner().tenant,
        TenantCommand::Update(args) => service.update_tenant(update(args)).await?.into_inner().tenant,
        TenantCommand::Remove { id } => {
            let request = v1::DeleteTenantRequest { name: tenant_name(&id), etag: String::new() };
            service.delete_tenant(request).await?;
            printer.note(&format!("tenant {id} is removed"));
            return Ok(());
        }
        TenantCommand::Secret(TenantSecretCommand::Add { id, secret, first }) => {
            let secret = secret.expose().to_owned();
            let request = v1::AddTenantSecretRequest { name: tenant_name(&id), secret, first };
            service.add_tenant_secret(request).await?.into_inner().tenant
        }
        TenantCommand::Secret(TenantSecretCommand::Remove { id, secret }) => {
            let secret = secret.expose().to_owned();
            let request = v1::RemoveTenantSecretRequest { name: tenant_name(&id), secret };
            service.remove_tenant_secret(request).await?.into_inner().tenant
        }
    };
    let missing = || CommandFailure::Refused("the control plane sent an answer without the tenant".into());
    printer.one(&TenantRow::from(tenant.ok_or_else(missing)?))
}

fn new_tenant(args: TenantAddArgs) -> v1::CreateTenantRequest {
    v1::CreateTenantRequest {
        tenant: Some(v1::Tenant {
            secrets: args.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            hosts: args.hosts,
            enabled: Some(!args.disabled),
            policy: Some(policy::typed(args.policy).0),
            ..v1::Tenant::default()
        }),
        tenant_id: args.id,
        request_id: request_id::fresh(),
    }
}

fn update(args: TenantUpdateArgs) -> v1::UpdateTenantRequest {
    let fields =
        [("hosts", args.no_hosts || !args.hosts.is_empty()), ("enabled", args.enable || args.disable)];
    let (policy, policy_fields) = policy::typed(args.policy);
    let fields = fields.into_iter().filter(|(_, given)| *given).map(|(name, _)| name.to_owned());
    let paths = fields.chain(policy_fields).collect();
    v1::UpdateTenantRequest {
        tenant: Some(v1::Tenant {
            name: tenant_name(&args.id),
            hosts: args.hosts,
            enabled: Some(args.enable),
            policy: Some(policy),
            ..v1::Tenant::default()
        }),
        update_mask: Some(prost_types::FieldMask { paths }),
    }
}
