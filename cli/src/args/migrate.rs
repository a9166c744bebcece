//! Commands that take over what another balancer manages.

use clap::{Args, Subcommand};
use usher_bbb::secret::Secret;

use super::secret;

/// Balancers that can be taken over.
#[derive(Debug, Subcommand)]
pub enum MigrationCommand {
    /// Take servers, tenants and running meetings over from a live Scalelite; its Redis is only read
    Scalelite(ScaleliteArgs),
}

/// Arguments of `migrate scalelite`.
#[derive(Debug, Args)]
pub struct ScaleliteArgs {
    /// Scalelite's Redis: `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` or `unix:///PATH`
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true, value_parser = secret)]
    pub redis: Secret,
    /// What its keys begin with
    #[arg(long, value_name = "NAME", env = "REDIS_NAMESPACE", default_value = "scalelite")]
    pub namespace: String,
    /// Scalelite's own host: its tenants are told by NAME.HOST here too
    #[arg(long, value_name = "HOST", env = "URL_HOST")]
    pub url_host: Option<String>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}
