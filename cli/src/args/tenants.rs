//! Arguments of `usher tenants`.

use clap::{ArgGroup, Args, Subcommand};
use usher_bbb::secret::Secret;

use super::{policy::TenantPolicyArgs, values::secret};

/// The commands about tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List tenants with meetings and users
    List,
    /// Show one tenant in full
    Show {
        /// Id of the tenant
        id: String,
        /// Show the secrets of the tenant too
        #[arg(long)]
        reveal: bool,
    },
    /// Add a tenant with its secrets
    Add(TenantAddArgs),
    /// Change fields of a tenant
    Update(TenantUpdateArgs),
    /// Remove a tenant; its running meetings continue, but no user can join them any more
    Remove {
        /// Id of the tenant
        id: String,
    },
    /// Add and revoke secrets of a tenant
    #[command(subcommand)]
    Secret(TenantSecretCommand),
}

/// The arguments of `usher tenants add`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").multiple(true)))]
pub struct TenantAddArgs {
    /// Id of the tenant, which is also the first part of its path: `/ID/bigbluebutton/api/`
    pub id: String,
    /// Secret that may sign its requests; may be repeated
    #[arg(long = "secret", value_name = "SECRET", required = true, value_parser = secret)]
    pub secrets: Vec<Secret>,
    /// Host name whose requests belong to the tenant; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Refuse its requests until the tenant is enabled
    #[arg(long)]
    pub disabled: bool,
    /// Rules and limits of the tenant.
    #[command(flatten)]
    pub policy: TenantPolicyArgs,
}

/// The arguments of `usher tenants update`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub struct TenantUpdateArgs {
    /// Id of the tenant
    pub id: String,
    /// New host name, in place of all present host names; may be repeated
    #[arg(long = "host", value_name = "HOST", group = "change")]
    pub hosts: Vec<String>,
    /// Remove all host names of the tenant
    #[arg(long, conflicts_with = "hosts", group = "change")]
    pub no_hosts: bool,
    /// Serve the requests of the tenant
    #[arg(long, group = "change")]
    pub enable: bool,
    /// Refuse the requests of the tenant
    #[arg(long, conflicts_with = "enable", group = "change")]
    pub disable: bool,
    /// Rules and limits of the tenant.
    #[command(flatten)]
    pub policy: TenantPolicyArgs,
}

/// The commands about the secrets of a tenant.
#[derive(Debug, Subcommand)]
pub enum TenantSecretCommand {
    /// Add a secret that may sign requests
    Add {
        /// Id of the tenant
        id: String,
        /// The secret to add
        #[arg(long, value_parser = secret)]
        secret: Secret,
        /// Put the secret first: Usher signs its own messages to the tenant with the first secret
        #[arg(long)]
        first: bool,
    },
    /// Revoke a secret of the tenant
    Remove {
        /// Id of the tenant
        id: String,
        /// The secret to revoke
        #[arg(long, value_parser = secret)]
        secret: Secret,
    },
}
