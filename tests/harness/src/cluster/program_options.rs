//! The options of all programs of a cluster, those that start later included.

use crate::process::ProgramEnvironment;

/// The options of every program of a cluster.
#[derive(Debug, Clone)]
pub(super) struct ProgramOptions {
    /// Environment variables, those of settings included.
    pub(super) settings: ProgramEnvironment,
    /// Whether a program may write ERROR lines.
    pub(super) errors_expected: bool,
    /// Whether the output of a program is not printed.
    pub(super) without_output: bool,
}
