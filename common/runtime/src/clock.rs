//! What time it is. Everything that waits or measures asks here, so that a test that pauses time
//! pauses all of it; the wall clock is for people and for what outlives a process, and can jump.

use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Returns the monotonic time: that of the runtime's timers, which tests can pause.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// Reads a wall clock; clones read the same one.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl WallClock {
    /// Returns this machine's.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock of the machine")]
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// Returns one that shows what `read` says.
    pub fn new(read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Returns the milliseconds since 1970; 0 before.
    pub fn now_ms(&self) -> i64 {
        let since = (self.0)().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl fmt::Debug for WallClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WallClock({} ms)", self.now_ms())
    }
}
