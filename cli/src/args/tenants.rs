//! Commands about tenants.

use clap::{ArgGroup, Args, Subcommand};
use usher_bbb::secret::Secret;

use super::{TenantPolicyArgs, secret};

/// Commands about tenants.
#[derive(Debug, Subcommand)]
pub enum TenantCommand {
    /// List tenants
    List,
    /// Show one tenant
    Show {
        /// The tenant
        id: String,
        /// Show its secrets too
        #[arg(long)]
        reveal: bool,
    },
    /// Add a tenant
    Add(TenantAddArgs),
    /// Change a tenant
    Update(TenantUpdateArgs),
    /// Remove a tenant; its running meetings go on, and nobody can join them any more
    Remove {
        /// The tenant
        id: String,
    },
    /// Add and revoke secrets
    #[command(subcommand)]
    Secret(TenantSecretCommand),
}

/// Arguments of `tenants add`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").multiple(true)))]
pub struct TenantAddArgs {
    /// Its name, which is also the first part of its path: `/ID/bigbluebutton/api/`
    pub id: String,
    /// A secret its requests may be signed with; may be repeated
    #[arg(long = "secret", value_name = "SECRET", required = true, value_parser = secret)]
    pub secrets: Vec<Secret>,
    /// A host name by which requests belong to it; may be repeated
    #[arg(long = "host", value_name = "HOST")]
    pub hosts: Vec<String>,
    /// Refuse its requests until it is enabled
    #[arg(long)]
    pub disabled: bool,
    /// What it may do
    #[command(flatten)]
    pub policy: TenantPolicyArgs,
}

/// Arguments of `tenants update`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub struct TenantUpdateArgs {
    /// The tenant
    pub id: String,
    /// New host names, in place of all it has; may be repeated
    #[arg(long = "host", value_name = "HOST", group = "change")]
    pub hosts: Vec<String>,
    /// Take all host names away
    #[arg(long, conflicts_with = "hosts", group = "change")]
    pub no_hosts: bool,
    /// Serve its requests
    #[arg(long, group = "change")]
    pub enable: bool,
    /// Refuse its requests
    #[arg(long, conflicts_with = "enable", group = "change")]
    pub disable: bool,
    /// What it may do
    #[command(flatten)]
    pub policy: TenantPolicyArgs,
}

/// Commands about the secrets of a tenant.
#[derive(Debug, Subcommand)]
pub enum TenantSecretCommand {
    /// Let requests be signed with one more secret
    Add {
        /// The tenant
        id: String,
        /// The secret
        #[arg(long, value_parser = secret)]
        secret: Secret,
        /// Sign what Usher sends the tenant with it
        #[arg(long)]
        first: bool,
    },
    /// Revoke a secret
    Remove {
        /// The tenant
        id: String,
        /// The secret
        #[arg(long, value_parser = secret)]
        secret: Secret,
    },
}
