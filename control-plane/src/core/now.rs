//! The two clocks that a decision may need. The shell reads them once for each decision, so that the
//! core stays pure (style P11).

use std::time::Instant;

/// One moment on both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time, by which every duration is measured.
    pub instant: Instant,
    /// Wall clock, milliseconds since 1970: for operators, and for values that outlive a process.
    pub wall_ms: i64,
}
