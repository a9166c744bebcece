//! What can be typed.

mod migrate;
mod policy;
mod processes;
mod servers;
mod tenants;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use usher_bbb::secret::Secret;

pub use migrate::{MigrationCommand, ScaleliteArgs};
pub use policy::TenantPolicyArgs;
pub use processes::{BbbSimArgs, DemoArgs, StandaloneArgs};
pub use servers::{
    ServerAddArgs, ServerCheckArgs, ServerCommand, ServerSyncArgs, ServerUpdateArgs, SyncModeArg,
};
pub use tenants::{TenantAddArgs, TenantCommand, TenantSecretCommand, TenantUpdateArgs};

const EXIT_CODES: &str = "Exit codes:
  0  done
  1  refused or failed: not found, in the way, a server that does not pass its check, …
  2  not understood: arguments, configuration, a list of servers
  3  the control plane cannot be reached or cannot do it now: try again
  4  the token, or the password of a Redis, is missing or not accepted";

/// A load balancer for BigBlueButton.
#[derive(Debug, Parser)]
#[command(name = "usher", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct CommandLine {
    /// What holds for every command.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The command.
    #[command(subcommand)]
    pub command: UsherCommand,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct GlobalOptions {
    /// Control plane to administer
    #[arg(
        long,
        global = true,
        env = "USHER_ENDPOINT",
        default_value = "http://127.0.0.1:9090",
        value_name = "URL"
    )]
    pub endpoint: String,
    /// Token of the control plane, its setting admin.token
    #[arg(long, global = true, env = "USHER_TOKEN", hide_env_values = true, value_parser = secret)]
    pub token: Option<Secret>,
    /// PEM file of the CA that signed the certificate of an https:// endpoint
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Longest time one answer may take
    #[arg(long, global = true, default_value = "15s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
    /// Form of the answer
    #[arg(long, short, global = true, env = "USHER_OUTPUT", value_enum, default_value = "table")]
    pub output: OutputFormat,
    /// Do it without asking
    #[arg(long, short, global = true)]
    pub yes: bool,
}

/// Form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// For people
    Table,
    /// For programs
    Json,
    /// For both
    Yaml,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum UsherCommand {
    /// Show everything at work: three simulated servers, a meeting, links to join it
    Demo(DemoArgs),
    /// Run a whole Usher in this one process, on its own store
    Standalone(StandaloneArgs),
    /// Run one simulated BigBlueButton server
    BbbSim(BbbSimArgs),
    /// Show how the fleet is
    Status {
        /// Show it again and again, until interrupted
        #[arg(long, short)]
        watch: bool,
        /// Time between two times
        #[arg(long, default_value = "2s", value_parser = duration, value_name = "TIME")]
        every: Duration,
    },
    /// Administer BigBlueButton servers
    #[command(subcommand)]
    Servers(ServerCommand),
    /// Administer tenants: applications with secrets of their own
    #[command(subcommand)]
    Tenants(TenantCommand),
    /// Show and end meetings
    #[command(subcommand)]
    Meetings(MeetingCommand),
    /// Show and forget meetings that perhaps still run although their id lives elsewhere
    #[command(subcommand)]
    Zombies(ZombieCommand),
    /// Show callbacks that wait for their applications, and what can be done about them
    #[command(subcommand)]
    Deliveries(DeliveryCommand),
    /// Show and remove the webhooks that applications registered
    #[command(subcommand)]
    Hooks(HookCommand),
    /// Show the edges
    #[command(subcommand)]
    Edges(EdgeCommand),
    /// Take over what another balancer manages, without ending a meeting
    #[command(subcommand)]
    Migrate(MigrationCommand),
    /// Write the completions of a shell to standard output
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

/// Commands about meetings.
#[derive(Debug, Subcommand)]
pub enum MeetingCommand {
    /// List meetings
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
        /// Only this server's
        #[arg(long, value_name = "ID")]
        server: Option<String>,
    },
    /// Show one meeting
    Show(MeetingRef),
    /// End a meeting
    End(MeetingRef),
    /// Give a meeting's id to another server although its own is only unhealthy
    Supersede(MeetingRef),
}

/// Names a meeting.
#[derive(Debug, Args)]
pub struct MeetingRef {
    /// The meetingID, as the application wrote it
    pub id: String,
    /// Whose meeting it is
    #[arg(long, default_value = "default")]
    pub tenant: String,
}

/// Commands about zombies.
#[derive(Debug, Subcommand)]
pub enum ZombieCommand {
    /// List zombies
    List,
    /// Drop one unseen, as when its server never comes back; one that a poll lists becomes known again
    Forget {
        /// The meeting
        #[command(flatten)]
        meeting: MeetingRef,
        /// Where it perhaps still runs
        #[arg(long, value_name = "ID")]
        server: String,
    },
}

/// Commands about callbacks that wait.
#[derive(Debug, Subcommand)]
pub enum DeliveryCommand {
    /// List callbacks that wait
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show one
    Show {
        /// Its id, as listed
        id: String,
    },
    /// Have one tried at once
    Retry {
        /// Its id, as listed
        id: Option<String>,
        /// Every one
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Give one up: its application will not hear of it
    Drop {
        /// Its id, as listed
        id: String,
    },
}

/// Commands about webhooks.
#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// List webhooks
    List {
        /// Only this tenant's
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Remove one, and what waits for it
    Remove {
        /// Its id, as listed
        id: String,
        /// Whose it is
        #[arg(long, default_value = "default")]
        tenant: String,
    },
}

/// Commands about edges.
#[derive(Debug, Subcommand)]
pub enum EdgeCommand {
    /// List the edges connected to this control plane, and how far behind they are
    List,
}

/// An empty secret would let everybody in.
pub(crate) fn secret(text: &str) -> Result<Secret, &'static str> {
    if text.trim().is_empty() { Err("is empty") } else { Ok(Secret::new(text)) }
}

fn duration(text: &str) -> Result<Duration, String> {
    usher_runtime::config::parse_duration(text)
}

#[cfg(test)]
mod tests;
