//! What a request costs grows with its length and with nothing faster, whatever it holds: no application
//! keeps a worker from all others by what it sends.
//!
//! Every call of the BBB API is taken through all that the edge computes for it, with each of the shapes that
//! once made that quadratic, at one length and at eight times that length. What is measured is the time that
//! this thread had the processor, so that waiting for a busy machine does not count; linear work takes eight
//! times as long, quadratic work sixty-four times, and the bound lies between them. A measurement that exceeds
//! it is repeated, and the least of each counts: only all of them together fail the test, and no noise makes
//! *every* long run three times as long as it is and no short one.

mod answers;
mod requests;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A shape of what comes from outside: its name, and what it is at a length.
type Shape = (&'static str, fn(usize) -> String);

/// The shorter length, in parameters, entries or elements; beyond the limits, which must not be what keeps
/// the cost down.
const SHORT: usize = 1000;
/// How many times as long the longer one is.
const FACTOR: usize = 8;
/// How many times as much the longer one may cost.
const COST_MAX: f64 = 3.0 * FACTOR as f64;
/// Measurements before a cost is believed to be too much.
const TRIES: usize = 4;

/// Returns the processor time that this thread has had.
fn processor_time() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Unix has this clock"))
}

fn cost(work: impl FnOnce()) -> Duration {
    let begun = processor_time();
    work();
    processor_time().saturating_sub(begun)
}

/// Checks that `work` on what `make` makes grows no faster than that does; returns what is wrong otherwise.
fn grows_linearly<T>(make: impl Fn(usize) -> T, work: impl Fn(&T)) -> Result<(), String> {
    let (short, long) = (make(SHORT), make(SHORT * FACTOR));
    let (mut of_short, mut of_long) = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        of_short = (0..3).map(|_| cost(|| work(&short))).min().unwrap_or_default().min(of_short);
        of_long = cost(|| work(&long)).min(of_long);
        if of_long.as_secs_f64() <= COST_MAX * of_short.as_secs_f64() {
            return Ok(());
        }
    }
    Err(format!("{FACTOR} times as long costs {of_long:?} instead of {of_short:?}"))
}

/// Fails with everything that grows too fast.
fn none_grows_too_fast(faults: Vec<String>) {
    assert!(faults.is_empty(), "{} grow faster than they are long:\n{}", faults.len(), faults.join("\n"));
}

#[test]
fn the_measure_itself_tells_linear_from_quadratic() {
    let make = |count: usize| (0..count).collect::<Vec<_>>();
    let linear = |numbers: &Vec<usize>| {
        std::hint::black_box(numbers.iter().map(|number| number.to_string().len()).sum::<usize>());
    };
    let quadratic = |numbers: &Vec<usize>| {
        std::hint::black_box(numbers.iter().filter(|number| !numbers[..**number].contains(number)).count());
    };
    assert_eq!(grows_linearly(make, linear), Ok(()));
    assert!(grows_linearly(make, quadratic).is_err());
}
