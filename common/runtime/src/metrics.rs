//! The metrics of one process. Each part of a program registers its metrics; in standalone mode all parts share one
//! registry.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prometheus_client::{encoding::text, registry::Registry};

/// The media type of the text of [`MetricsRegistry::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// A registry that several parts share. Clones are the same registry.
#[derive(Clone, Default)]
pub struct MetricsRegistry(Arc<Mutex<Registry>>);

impl MetricsRegistry {
    /// Returns an empty registry.
    pub fn new() -> Self {
        Self::default()
    }

    /// Registers the metrics of one part: `metrics.register(|registry| registry.register(…))`.
    pub fn register<T>(&self, part: impl FnOnce(&mut Registry) -> T) -> T {
        part(&mut self.lock())
    }

    /// Returns every metric in the OpenMetrics text format.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.lock())?;
        Ok(text)
    }

    /// Locks the registry. A part that panicked while it registered left only complete entries, so the registry of a
    /// poisoned lock is usable.
    fn lock(&self) -> MutexGuard<'_, Registry> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for MetricsRegistry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;

    use super::MetricsRegistry;

    #[test]
    fn parts_that_share_a_registry_are_encoded_together() {
        let (metrics, counter) = (MetricsRegistry::new(), Counter::<u64>::default());
        metrics.register(|registry| registry.register("usher_one", "First", counter.clone()));
        metrics.clone().register(|registry| registry.register("usher_two", "Second", counter.clone()));
        counter.inc();
        let text = metrics.encode().expect("encodes");
        assert!(text.contains("usher_one_total 1") && text.contains("usher_two_total 1"), "{text}");
    }
}
