//! The results of slices of load, and their medians, which one bad slice does not change.

use std::time::Duration;

use anyhow::{Result, ensure};
use hdrhistogram::Histogram;

/// The result of one slice.
#[derive(Clone)]
pub(crate) struct LoadSlice {
    /// The operations per second.
    pub(crate) rate: f64,
    /// The duration of each operation, in microseconds.
    pub(crate) micros: Histogram<u64>,
    /// The processor time of the server for each operation, in microseconds.
    pub(crate) cpu_micros: Option<f64>,
}

impl LoadSlice {
    /// Returns the result of a slice of `time` in which the server used `cpu`.
    pub(crate) fn new(micros: Histogram<u64>, time: Duration, cpu: Option<Duration>) -> Self {
        let count = micros.len() as f64;
        let cpu_micros = cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / count.max(1.0));
        Self { rate: count / time.as_secs_f64(), micros, cpu_micros }
    }
}

/// The medians of several slices.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SliceMedians {
    pub(crate) rate: f64,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) cpu_micros: Option<f64>,
}

/// Slices of Usher and of its reference, taken in turn.
#[derive(Default)]
pub(crate) struct SlicePairs {
    ours: Vec<LoadSlice>,
    beside: Vec<LoadSlice>,
}

impl SlicePairs {
    /// Takes `count` pairs in the order reference, Usher, reference, Usher, …
    pub(crate) fn take(
        count: usize,
        mut beside: impl FnMut() -> Result<LoadSlice>,
        mut ours: impl FnMut() -> Result<LoadSlice>,
    ) -> Result<Self> {
        ensure!(count > 0, "a measurement needs at least one slice");
        let mut pairs = Self::default();
        for _ in 0..count {
            pairs.beside.push(beside()?);
            pairs.ours.push(ours()?);
        }
        Ok(pairs)
    }

    pub(crate) fn ours(&self) -> SliceMedians {
        medians(&self.ours)
    }

    pub(crate) fn beside(&self) -> SliceMedians {
        medians(&self.beside)
    }

    /// Returns the median over the pairs of Usher's rate divided by that of the reference.
    pub(crate) fn rate_ratio(&self) -> f64 {
        self.ratio(|slice| slice.rate)
    }

    /// Returns the median over the pairs of Usher's p99 divided by that of the reference.
    pub(crate) fn p99_ratio(&self) -> f64 {
        self.ratio(|slice| quantile(slice, 0.99))
    }

    fn ratio(&self, of: impl Fn(&LoadSlice) -> f64) -> f64 {
        median(self.ours.iter().zip(&self.beside).map(|(ours, beside)| of(ours) / of(beside)))
    }
}

/// Returns the medians of slices.
pub(crate) fn medians(slices: &[LoadSlice]) -> SliceMedians {
    let cpu: Vec<f64> = slices.iter().filter_map(|slice| slice.cpu_micros).collect();
    SliceMedians {
        rate: median(slices.iter().map(|slice| slice.rate)),
        p50_micros: median(slices.iter().map(|slice| quantile(slice, 0.5))),
        p99_micros: median(slices.iter().map(|slice| quantile(slice, 0.99))),
        cpu_micros: (!cpu.is_empty()).then(|| median(cpu)),
    }
}

fn quantile(slice: &LoadSlice, at: f64) -> f64 {
    slice.micros.value_at_quantile(at) as f64
}

fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => f64::NAN,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(values[middle - 1], *upper),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slice(rate: u64, micros: u64) -> LoadSlice {
        let mut seen = Histogram::new(3).unwrap();
        seen.record_n(micros, rate).unwrap();
        LoadSlice::new(seen, Duration::from_secs(1), Some(Duration::from_millis(1)))
    }

    #[test]
    fn one_bad_slice_moves_no_median() {
        let (mut ours, mut beside) = ([90, 1, 80].into_iter(), [100, 100, 100].into_iter());
        let pairs = SlicePairs::take(
            3,
            || Ok(slice(beside.next().unwrap(), 10)),
            || Ok(slice(ours.next().unwrap(), 20)),
        )
        .unwrap();
        assert!((pairs.rate_ratio() - 0.8).abs() < 1e-9);
        assert!((pairs.p99_ratio() - 2.0).abs() < 1e-9);
        assert!((pairs.ours().rate - 80.0).abs() < 1e-9 && (pairs.beside().rate - 100.0).abs() < 1e-9);
        assert_eq!(pairs.beside().cpu_micros, Some(10.0));
    }

    #[test]
    fn the_median_of_an_even_number_is_between_the_middle_two() {
        assert!((median([4.0, 1.0, 3.0, 2.0]) - 2.5).abs() < 1e-9);
        assert!(median([]).is_nan());
    }
}
