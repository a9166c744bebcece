//! Pauses between tries, longer each time and never the same for two replicas (F14).

use std::time::Duration;

/// Grows from `least` to `most`, each pause a random part of the upper half of its length.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Starts at `least`.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// Returns the pause before the next try.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        self.next = (self.next * 2).min(self.most);
        pause
    }

    /// Starts over: a try succeeded.
    pub fn reset(&mut self) {
        self.next = self.least;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_over() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut backoff = Backoff::new(least, most);
        for _ in 0..20 {
            let pause = backoff.pause();
            assert!(pause >= least / 2 && pause <= most, "{pause:?}");
        }
        assert!(backoff.pause() >= most / 2);
        backoff.reset();
        assert!(backoff.pause() <= least);
    }
}
