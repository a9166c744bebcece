//! The clocks. All code that waits or measures reads the monotonic clock here, so that a test can pause it. The wall
//! clock is for operators and for values that outlive the process; it can jump (style P11).

use std::{
    fmt,
    sync::Arc,
    time::{Instant, SystemTime, UNIX_EPOCH},
};

/// Returns the monotonic time of the timers of the runtime, which tests can pause.
pub fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A wall clock. Clones read the same clock.
#[derive(Clone)]
pub struct WallClock(Arc<dyn Fn() -> SystemTime + Send + Sync>);

impl WallClock {
    /// Returns the wall clock of this machine.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the clock of the machine")]
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// Returns a clock that shows the result of `read`, in milliseconds since 1970.
    pub fn new(read: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self(Arc::new(read))
    }

    /// Returns the milliseconds since 1970, or 0 before.
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
