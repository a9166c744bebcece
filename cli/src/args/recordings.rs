//! Arguments of `usher recordings`, which is about the recordings library.

use clap::Subcommand;

/// The commands about the recordings library.
#[derive(Debug, Subcommand)]
pub enum RecordingsCommand {
    /// Print the script for BBB servers, which uploads their recordings
    Script,
}
