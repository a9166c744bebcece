//! Random ids, as BBB makes them.

use rand::{
    RngExt,
    distr::{Alphanumeric, SampleString},
};

/// Letters of both cases and digits.
pub(crate) fn alphanumeric(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

/// Lower-case letters and digits.
pub(crate) fn lower_alphanumeric(length: usize) -> String {
    alphanumeric(length).to_ascii_lowercase()
}

/// A voice bridge.
pub(crate) fn five_digits() -> u32 {
    rand::rng().random_range(10_000..100_000)
}
