//! Arguments of `usher servers`.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

use super::{list_query::ListQueryArgs, values::secret};
use crate::core::{shrink::Percent, sync::SyncMode};

/// The commands about BigBlueButton servers.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// List servers with health and load
    List(ListQueryArgs),
    /// Write the servers and then each change, until a signal ends the command
    Watch {
        /// Watch only servers that meet a condition, for example 'health != online'
        #[arg(long, value_name = "CONDITION")]
        filter: Option<String>,
    },
    /// Show one server in full
    Show {
        /// Id of the server
        id: String,
        /// Show the secret of the server too
        #[arg(long)]
        reveal: bool,
    },
    /// Call a server from this machine and report its faults with their remedies
    Check(ServerCheckArgs),
    /// Add a server; it is disabled unless --enable is given
    Add(ServerAddArgs),
    /// Change fields of a server
    Update(ServerUpdateArgs),
    /// Remove a server that has no meetings
    Remove {
        /// Id of the server
        id: String,
    },
    /// Allow a server to take new meetings
    Enable {
        /// Id of the server
        id: String,
    },
    /// Stop new meetings on a server; it becomes disabled when empty
    Cordon {
        /// Id of the server
        id: String,
    },
    /// Disable a server that has no meetings
    Disable {
        /// Id of the server
        id: String,
    },
    /// Disable a server and free the ids of its meetings at once
    Panic {
        /// Id of the server
        id: String,
    },
    /// Poll servers now, outside the regular schedule
    Poll {
        /// Id of the server; without it all servers are polled
        id: Option<String>,
    },
    /// Change the fleet to match a list of servers (Scalelite's servers:sync YAML)
    Sync(ServerSyncArgs),
    /// Write the fleet as a list for `sync`, secrets included
    Export,
}

/// The arguments of `usher servers check`.
#[derive(Debug, Args)]
pub struct ServerCheckArgs {
    /// Id of a server of the fleet, or URL of any server
    #[arg(value_name = "ID|URL")]
    pub server: String,
    /// Secret of the server; needed with a URL
    #[arg(long, value_parser = secret)]
    pub secret: Option<Secret>,
}

/// The arguments of `usher servers add`.
#[derive(Debug, Args)]
pub struct ServerAddArgs {
    /// Base URL of its API, as in `https://bbb1.example.org/bigbluebutton/api/`
    pub url: String,
    /// Shared secret of the server, as `bbb-conf --secret` prints it
    #[arg(long, value_parser = secret)]
    pub secret: Secret,
    /// Id of the server; by default Usher makes it from the host of the URL
    #[arg(long)]
    pub id: Option<String>,
    /// Share of meetings relative to other servers; weight 2 takes twice the load of weight 1
    #[arg(long, default_value_t = 1.0)]
    pub weight: f64,
    /// Tag by which a tenant or a create selects the server; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Hash that signs calls to the server: sha1, sha256, sha384 or sha512
    #[arg(long, default_value = "sha256")]
    pub algorithm: ChecksumAlgorithm,
    /// Allow new meetings as soon as its first polls succeed
    #[arg(long)]
    pub enable: bool,
}

/// The arguments of `usher servers update`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub struct ServerUpdateArgs {
    /// Id of the server
    pub id: String,
    /// New base URL of its API
    #[arg(long, group = "change")]
    pub url: Option<String>,
    /// New shared secret of the server
    #[arg(long, value_parser = secret, group = "change")]
    pub secret: Option<Secret>,
    /// New share of meetings relative to other servers
    #[arg(long, group = "change")]
    pub weight: Option<f64>,
    /// New tag, in place of all present tags; may be repeated
    #[arg(long = "tag", value_name = "TAG", group = "change")]
    pub tags: Vec<String>,
    /// Remove all tags of the server
    #[arg(long, conflicts_with = "tags", group = "change")]
    pub no_tags: bool,
    /// New hash that signs calls to the server
    #[arg(long, group = "change")]
    pub algorithm: Option<ChecksumAlgorithm>,
    /// Change the address although the new address does not list meetings of the server; Usher ends those
    /// meetings at the old address
    #[arg(long, requires = "url")]
    pub force: bool,
}

/// The arguments of `usher servers sync`.
#[derive(Debug, Args)]
pub struct ServerSyncArgs {
    /// Path of the list; - is standard input
    pub file: PathBuf,
    /// Treatment of servers that the list does not name
    #[arg(long, value_enum, default_value = "cordon")]
    pub mode: SyncModeArg,
    /// Largest share of the servers that the list may take out of use; by default a third, and never all
    /// servers that have meetings
    #[arg(long, value_name = "N%")]
    pub allow_shrink: Option<Percent>,
    /// Print the plan and change no server
    #[arg(long)]
    pub dry_run: bool,
}

/// The treatment of servers that the list does not name, as it is typed. [`SyncMode`] is the same without
/// clap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SyncModeArg {
    /// The servers stay as they are
    Keep,
    /// Empty servers are removed; others are cordoned, and the next run removes them when they are empty
    Cordon,
    /// The servers are removed at once; their meetings may start again on other servers
    Force,
}

impl From<SyncModeArg> for SyncMode {
    fn from(mode: SyncModeArg) -> Self {
        match mode {
            SyncModeArg::Keep => Self::Keep,
            SyncModeArg::Cordon => Self::Cordon,
            SyncModeArg::Force => Self::Force,
        }
    }
}
