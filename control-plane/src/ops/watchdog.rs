//! Liveness: watched loops report each turn, and a loop that stalls fails the process's `/live`
//! (C11).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// The watched loops, each with the time of its last turn.
#[derive(Debug, Clone, Default)]
pub struct Watchdog(Arc<Mutex<BTreeMap<&'static str, Watched>>>);

#[derive(Debug, Clone, Copy)]
struct Watched {
    turned: Instant,
    patience: Duration,
}

impl Watchdog {
    /// Notes that the loop `name` turned at `now` and turns again within `patience`.
    pub fn turned(&self, name: &'static str, patience: Duration, now: Instant) {
        self.lock().insert(name, Watched { turned: now, patience });
    }

    /// Stops the watch of a loop that ended in order.
    pub fn ended(&self, name: &'static str) {
        self.lock().remove(name);
    }

    /// Returns the name of a loop that is overdue at `now`.
    pub fn stalled(&self, now: Instant) -> Option<&'static str> {
        let late = |watched: &Watched| now.saturating_duration_since(watched.turned) > watched.patience;
        self.lock().iter().find(|(_, watched)| late(watched)).map(|(name, _)| *name)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c11_a_loop_that_stops_turning_is_found() {
        let (dog, start, patience) = (Watchdog::default(), Instant::now(), Duration::from_secs(30));
        dog.turned("poller", patience, start);
        assert_eq!(dog.stalled(start + patience), None);
        assert_eq!(dog.stalled(start + patience * 2), Some("poller"));
        dog.turned("poller", patience, start + patience * 2);
        assert_eq!(dog.stalled(start + patience * 2), None);
        dog.ended("poller");
        assert_eq!(dog.stalled(start + patience * 9), None);
    }
}
