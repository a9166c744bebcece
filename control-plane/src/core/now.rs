//! The two clocks a decision may need, read once by the shell.

use std::time::Instant;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic: every duration is measured on it.
    pub instant: Instant,
    /// Wall clock, milliseconds since 1970: for people, and for what must outlive a process.
    pub wall_ms: i64,
}
