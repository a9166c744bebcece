//! The settings of the recordings library (ADR 44).

use std::{net::SocketAddr, path::PathBuf};

/// The settings of the recordings library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordingSettings {
    /// Whether the library runs; without it recordings stay on the servers that made them.
    pub library: bool,
    /// Address at which the library serves the edges.
    pub listen: SocketAddr,
    /// Address by which edges reach the library, `http://HOST:PORT`; without it that of `listen`.
    pub address: Option<String>,
    /// File of the index; without it `recordings.db` in the directory `data`.
    pub database: Option<PathBuf>,
    /// Directory of the files; without it `recordings` in the directory `data`.
    pub storage: Option<PathBuf>,
    /// Visibility of a recording that arrives.
    pub publish: PublishPolicy,
    /// Address of playback in lists of recordings; without it `public_url`.
    pub url: Option<String>,
    /// Directory of BigBlueButton's player for presentations.
    pub player: Option<PathBuf>,
    /// Space that must stay free in the storage, bytes.
    pub keep_free: u64,
}

/// The visibility of a recording that arrives for the first time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublishPolicy {
    /// As on the server that made it.
    Server,
    /// Published.
    Yes,
    /// Unpublished.
    No,
}

impl Default for RecordingSettings {
    fn default() -> Self {
        Self {
            library: false,
            listen: SocketAddr::from(([127, 0, 0, 1], 9092)),
            address: None,
            database: None,
            storage: None,
            publish: PublishPolicy::Server,
            url: None,
            player: None,
            keep_free: 1 << 30,
        }
    }
}
