//! Arguments of `usher migrate`, which takes over the fleet of another balancer.

use clap::{Args, Subcommand};
use usher_bbb::secret::Secret;

use super::values::secret;

/// The balancers whose fleet `usher migrate` can take over.
#[derive(Debug, Subcommand)]
pub enum MigrationCommand {
    /// Take over servers, tenants and running meetings of a live Scalelite; its Redis is only read
    Scalelite(ScaleliteArgs),
}

/// The arguments of `usher migrate scalelite`.
#[derive(Debug, Args)]
pub struct ScaleliteArgs {
    /// Scalelite's Redis: `redis://USER:PASSWORD@HOST:PORT/DB`, `rediss://…` or `unix:///PATH`
    #[arg(long, value_name = "URL", env = "REDIS_URL", hide_env_values = true, value_parser = secret)]
    pub redis: Secret,
    /// Namespace of its keys in Redis
    #[arg(long, value_name = "NAME", env = "REDIS_NAMESPACE", default_value = "scalelite")]
    pub namespace: String,
    /// Scalelite's own host: requests to NAME.HOST belong to tenant NAME in Usher too
    #[arg(long, value_name = "HOST", env = "URL_HOST")]
    pub url_host: Option<String>,
    /// Print the plan and change no server, tenant or meeting
    #[arg(long)]
    pub dry_run: bool,
}
