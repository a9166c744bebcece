//! Commands about servers.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};

use super::secret;
use crate::core::{shrink::Percent, sync::SyncMode};

/// Commands about servers.
#[derive(Debug, Subcommand)]
pub enum ServerCommand {
    /// List servers
    List,
    /// Show one server
    Show {
        /// The server
        id: String,
        /// Show its secret too
        #[arg(long)]
        reveal: bool,
    },
    /// Call a server from here and say what is wrong with it
    Check(ServerCheckArgs),
    /// Add a server; disabled, unless --enable is given
    Add(ServerAddArgs),
    /// Change a server
    Update(ServerUpdateArgs),
    /// Remove a server without meetings
    Remove {
        /// The server
        id: String,
    },
    /// Let a server take meetings
    Enable {
        /// The server
        id: String,
    },
    /// Give a server no new meetings; it becomes disabled when empty
    Cordon {
        /// The server
        id: String,
    },
    /// Take a server without meetings out of use
    Disable {
        /// The server
        id: String,
    },
    /// Disable a server and free the ids of its meetings at once
    Panic {
        /// The server
        id: String,
    },
    /// Poll now, without changing the cadence
    Poll {
        /// The server; none means all
        id: Option<String>,
    },
    /// Make the fleet as a list says (Scalelite's servers:sync YAML)
    Sync(ServerSyncArgs),
    /// Write the fleet as such a list, secrets included
    Export,
}

/// Arguments of `servers check`.
#[derive(Debug, Args)]
pub struct ServerCheckArgs {
    /// Id of a server of the fleet, or URL of any server
    #[arg(value_name = "ID|URL")]
    pub server: String,
    /// Its secret, with a URL
    #[arg(long, value_parser = secret)]
    pub secret: Option<Secret>,
}

/// Arguments of `servers add`.
#[derive(Debug, Args)]
pub struct ServerAddArgs {
    /// Base of its API, as in `https://bbb1.example.org/bigbluebutton/api/`
    pub url: String,
    /// Its shared secret, as `bbb-conf --secret` prints it
    #[arg(long, value_parser = secret)]
    pub secret: Secret,
    /// Its name; made from the URL's host where it is not given
    #[arg(long)]
    pub id: Option<String>,
    /// Capacity relative to others; 2 takes twice the load of 1
    #[arg(long, default_value_t = 1.0)]
    pub weight: f64,
    /// A tag by which meetings ask for it; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Hash by which calls to it are signed: sha1, sha256, sha384 or sha512
    #[arg(long, default_value = "sha256")]
    pub algorithm: ChecksumAlgorithm,
    /// Let it take meetings once its first polls succeeded
    #[arg(long)]
    pub enable: bool,
}

/// Arguments of `servers update`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("change").required(true).multiple(true)))]
pub struct ServerUpdateArgs {
    /// The server
    pub id: String,
    /// New base of its API
    #[arg(long, group = "change")]
    pub url: Option<String>,
    /// New secret
    #[arg(long, value_parser = secret, group = "change")]
    pub secret: Option<Secret>,
    /// New capacity relative to others
    #[arg(long, group = "change")]
    pub weight: Option<f64>,
    /// New tags, in place of all it has; may be repeated
    #[arg(long = "tag", value_name = "TAG", group = "change")]
    pub tags: Vec<String>,
    /// Take all tags away
    #[arg(long, conflicts_with = "tags", group = "change")]
    pub no_tags: bool,
    /// New hash by which calls to it are signed
    #[arg(long, group = "change")]
    pub algorithm: Option<ChecksumAlgorithm>,
    /// Change the address although meetings live on the server that the new one does not list; they are
    /// ended at the old one
    #[arg(long, requires = "url")]
    pub force: bool,
}

/// Arguments of `servers sync`.
#[derive(Debug, Args)]
pub struct ServerSyncArgs {
    /// The list; - is standard input
    pub file: PathBuf,
    /// What happens to servers the list does not name
    #[arg(long, value_enum, default_value = "cordon")]
    pub mode: SyncModeArg,
    /// Let the list take this share of the servers out of use; without it a third, and never all that have
    /// meetings
    #[arg(long, value_name = "N%")]
    pub allow_shrink: Option<Percent>,
    /// Only say what would be done
    #[arg(long)]
    pub dry_run: bool,
}

/// What happens to servers the list does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SyncModeArg {
    /// They stay as they are
    Keep,
    /// They are removed when empty, else cordoned, for the next run to remove
    Cordon,
    /// They are removed at once; their meetings may start anew elsewhere
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
