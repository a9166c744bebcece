//! The cost of a request grows no faster than its length, for every content: no application can occupy
//! a worker by the content of its requests.
//!
//! Each test does the work of the edge for a call of the BBB API, with each shape of input that once
//! took quadratic time, at one length and at eight times that length. It measures the processor time
//! of this thread, so that waiting for a busy machine does not count. Linear work takes eight times as
//! long and quadratic work sixty-four times, and the bound lies between them. A measurement above the
//! bound is repeated, and the least time of each length counts. The test fails only if all
//! measurements exceed the bound, because no noise makes *every* long run, and no short one, take
//! three times as long. The steps of a request are also counted, which needs no bound for noise
//! ([`steps`]).

mod answers;
mod requests;
mod steps;

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// A shape of input: its name, and a function that makes input of a length.
type Shape = (&'static str, fn(usize) -> String);

/// The shorter length, in parameters, entries or elements. It exceeds the limits of a request,
/// because those limits must not be the reason for a low cost.
const SHORT: usize = 1000;
/// The ratio of the longer length to the shorter.
const FACTOR: usize = 8;
/// The largest ratio of the costs.
const COST_MAX: f64 = 3.0 * FACTOR as f64;
/// The cost of the longer input that harms no other request, even where tests are not optimised. Shorter works differ
/// by more than their lengths: the system hands out large buffers page by page. Quadratic work exceeds it: thirty-two
/// million steps.
const HARMLESS: Duration = Duration::from_millis(2);
/// The number of measurements before a cost counts as too high.
const TRIES: usize = 4;

/// Returns the processor time of this thread.
fn processor_time() -> Duration {
    Duration::from(clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).expect("every Unix has this clock"))
}

fn cost(work: impl FnOnce()) -> Duration {
    let begun = processor_time();
    work();
    processor_time().saturating_sub(begun)
}

/// Checks that the cost of `work` on the output of `make` grows no faster than the length. Returns
/// a description otherwise.
fn grows_linearly<T>(make: impl Fn(usize) -> T, work: impl Fn(&T)) -> Result<(), String> {
    let (short, long) = (make(SHORT), make(SHORT * FACTOR));
    let (mut of_short, mut of_long) = (Duration::MAX, Duration::MAX);
    for _ in 0..TRIES {
        of_short = (0..3).map(|_| cost(|| work(&short))).min().unwrap_or_default().min(of_short);
        of_long = cost(|| work(&long)).min(of_long);
        if of_long <= HARMLESS || of_long.as_secs_f64() <= COST_MAX * of_short.as_secs_f64() {
            return Ok(());
        }
    }
    Err(format!("{FACTOR} times as long costs {of_long:?} instead of {of_short:?}"))
}

/// Fails with a list of all costs that grow too fast.
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
