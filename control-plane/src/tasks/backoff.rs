//! Pauses between attempts that grow each time and are random, so that no two replicas attempt in
//! step (F14).

use std::time::Duration;

/// A pause that grows from `least` to `most`; each pause is a random length in its upper half.
#[derive(Debug, Clone)]
pub struct Backoff {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Returns a backoff whose first pause is `least` at most.
    pub fn new(least: Duration, most: Duration) -> Self {
        Self { least, most, next: least }
    }

    /// Returns the pause before the next attempt and doubles the following one.
    pub fn pause(&mut self) -> Duration {
        let pause = self.next.mul_f64(0.5 + rand::random::<f64>() / 2.0);
        self.next = (self.next * 2).min(self.most);
        pause
    }

    /// Returns to the first pause after a success.
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
