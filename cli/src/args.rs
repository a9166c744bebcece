//! The arguments of `usher`. The doc comments here are the help texts that operators read.

mod list_query;
mod migrate;
mod policy;
mod processes;
mod recordings;
mod servers;
mod tenants;
mod values;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use usher_bbb::secret::Secret;

use self::values::{duration, secret};

pub use list_query::ListQueryArgs;
pub use migrate::{MigrationCommand, ScaleliteArgs};
pub use policy::TenantPolicyArgs;
pub use processes::{BbbSimArgs, DemoArgs, StandaloneArgs};
pub use recordings::RecordingsCommand;
pub use servers::{
    ServerAddArgs, ServerCheckArgs, ServerCommand, ServerSyncArgs, ServerUpdateArgs, SyncModeArg,
};
pub use tenants::{TenantAddArgs, TenantCommand, TenantSecretCommand, TenantUpdateArgs};

const EXIT_CODES: &str = "Exit codes:
  0  the command is done
  1  the command was refused or failed: not found, a conflict, a server that does not pass its check, …
  2  the input is wrong: arguments, configuration, a list of servers
  3  the control plane is unreachable or cannot serve the command now: try again
  4  the token, or the password of a Redis, is missing or not accepted";

/// A load balancer for BigBlueButton.
#[derive(Debug, Parser)]
#[command(name = "usher", version, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct CommandLine {
    /// Options that every command takes.
    #[command(flatten)]
    pub global: GlobalOptions,
    /// The command to run.
    #[command(subcommand)]
    pub command: UsherCommand,
}

/// The options that every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub struct GlobalOptions {
    /// Address of a control plane; several, repeated or separated by commas, are tried in turn
    #[arg(
        long,
        global = true,
        env = "USHER_ENDPOINT",
        value_delimiter = ',',
        default_value = "http://127.0.0.1:9090",
        value_name = "URL"
    )]
    pub endpoint: Vec<String>,
    /// Token of the control plane: the value of its setting admin.token
    #[arg(long, global = true, env = "USHER_TOKEN", hide_env_values = true, value_parser = secret)]
    pub token: Option<Secret>,
    /// PEM file of the CA that signed the certificates of https:// endpoints; without it, the CAs of the system
    /// are trusted
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// Longest time that one call may take, at all endpoints together
    #[arg(long, global = true, default_value = "15s", value_parser = duration, value_name = "TIME")]
    pub timeout: Duration,
    /// Format of the output
    #[arg(long, short, global = true, env = "USHER_OUTPUT", value_enum, default_value = "table")]
    pub output: OutputFormat,
    /// Run a destructive command without confirmation
    #[arg(long, short, global = true)]
    pub yes: bool,
}

/// The format in which a command writes its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum OutputFormat {
    /// Aligned columns for people
    Table,
    /// JSON for programs
    Json,
    /// YAML for people and programs
    Yaml,
}

/// The command that an operator typed.
#[derive(Debug, Subcommand)]
pub enum UsherCommand {
    /// Run a demo: simulated servers, a meeting and links to join it
    Demo(DemoArgs),
    /// Run control plane and edge in this process on an embedded store
    Standalone(StandaloneArgs),
    /// Run one simulated BigBlueButton server
    BbbSim(BbbSimArgs),
    /// Show the state of the fleet on one page
    Status {
        /// Show the page again and again until a signal ends the command
        #[arg(long, short)]
        watch: bool,
        /// Time between two pages of --watch
        #[arg(long, default_value = "2s", value_parser = duration, value_name = "TIME")]
        every: Duration,
    },
    /// Administer BigBlueButton servers
    #[command(subcommand)]
    Servers(ServerCommand),
    /// Administer tenants: applications, each with its own API secrets
    #[command(subcommand)]
    Tenants(TenantCommand),
    /// Show and end meetings
    #[command(subcommand)]
    Meetings(MeetingCommand),
    /// Show and forget zombies: meetings that may still run although their record has moved on
    #[command(subcommand)]
    Zombies(ZombieCommand),
    /// Show, retry and drop callbacks that wait for their applications
    #[command(subcommand)]
    Deliveries(DeliveryCommand),
    /// Show and remove webhooks that applications registered
    #[command(subcommand)]
    Hooks(HookCommand),
    /// Show the connected edge proxies
    #[command(subcommand)]
    Edges(EdgeCommand),
    /// Show alarms as they are raised and cleared
    #[command(subcommand)]
    Alarms(AlarmCommand),
    /// Show the control planes of the cluster
    #[command(subcommand)]
    Replicas(ReplicaCommand),
    /// Take over the servers, tenants and meetings of another balancer without ending a meeting
    #[command(subcommand)]
    Migrate(MigrationCommand),
    /// Help with the recordings library
    #[command(subcommand)]
    Recordings(RecordingsCommand),
    /// Write the completion script of a shell to standard output
    Completions {
        /// The shell that reads the script
        shell: clap_complete::Shell,
    },
}

/// The commands that show and end meetings.
#[derive(Debug, Subcommand)]
pub enum MeetingCommand {
    /// List meetings with their servers
    List {
        /// List only meetings of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// List only meetings on this server
        #[arg(long, value_name = "ID")]
        server: Option<String>,
        /// The choice and the order of the rows.
        #[command(flatten)]
        query: ListQueryArgs,
    },
    /// Write the meetings and then each change, until a signal ends the command
    Watch {
        /// Watch only meetings of this tenant
        #[arg(long)]
        tenant: Option<String>,
        /// Watch only meetings that meet a condition, for example 'server = bbb1'
        #[arg(long, value_name = "CONDITION")]
        filter: Option<String>,
    },
    /// Show one meeting in full
    Show(MeetingRef),
    /// End a meeting on its server
    End(MeetingRef),
    /// Give a meeting's id to another server although its own server is only unhealthy
    Supersede(MeetingRef),
}

/// The arguments that name one meeting.
#[derive(Debug, Args)]
pub struct MeetingRef {
    /// The meetingID as the application wrote it
    pub id: String,
    /// Tenant that owns the meeting
    #[arg(long, default_value = "default")]
    pub tenant: String,
}

/// The commands that show and forget zombies.
#[derive(Debug, Subcommand)]
pub enum ZombieCommand {
    /// List zombies with their servers and reasons
    List,
    /// Show one zombie in full
    Show {
        /// The meeting that may still run.
        #[command(flatten)]
        meeting: MeetingRef,
        /// Server on which the meeting may still run
        #[arg(long, value_name = "ID")]
        server: String,
    },
    /// Drop a zombie whose server never returns; if a poll lists the meeting again, it becomes known again
    Forget {
        /// The meeting that may still run.
        #[command(flatten)]
        meeting: MeetingRef,
        /// Server on which the meeting may still run
        #[arg(long, value_name = "ID")]
        server: String,
    },
}

/// The commands about callbacks that wait for their applications.
#[derive(Debug, Subcommand)]
pub enum DeliveryCommand {
    /// List callbacks that wait for their applications
    List {
        /// List only callbacks of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show one waiting callback
    Show {
        /// Id of the callback, as `list` shows it
        id: String,
    },
    /// Try to deliver a callback at once
    Retry {
        /// Id of the callback, as `list` shows it
        id: Option<String>,
        /// Retry every waiting callback
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
    /// Drop a callback: its application never receives it
    Drop {
        /// Id of the callback, as `list` shows it
        id: String,
    },
}

/// The commands about webhooks of applications.
#[derive(Debug, Subcommand)]
pub enum HookCommand {
    /// List webhooks that applications registered
    List {
        /// List only webhooks of this tenant
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Show one webhook in full
    Show {
        /// Id of the webhook, as `list` shows it
        id: String,
        /// Tenant that registered the webhook
        #[arg(long, default_value = "default")]
        tenant: String,
    },
    /// Remove a webhook and the events that wait for it
    Remove {
        /// Id of the webhook, as `list` shows it
        id: String,
        /// Tenant that registered the webhook
        #[arg(long, default_value = "default")]
        tenant: String,
    },
}

/// The commands about edge proxies.
#[derive(Debug, Subcommand)]
pub enum EdgeCommand {
    /// List the edges of all control planes, with their lag
    List,
    /// Write the edges and then each change, until a signal ends the command
    Watch,
    /// Show one edge in full
    Show {
        /// Id of the edge
        id: String,
    },
}

/// The commands about alarms.
#[derive(Debug, Subcommand)]
pub enum AlarmCommand {
    /// Write the alarms of all control planes each time they change, until a signal ends the command
    Watch,
}

/// The commands about control planes.
#[derive(Debug, Subcommand)]
pub enum ReplicaCommand {
    /// List the control planes that live, with their roles, edges and alarms
    List,
}

#[cfg(test)]
mod tests;
