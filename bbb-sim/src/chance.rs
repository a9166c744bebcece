//! Random ids in the formats of BBB.

use rand::{
    RngExt,
    distr::{Alphanumeric, SampleString},
};

/// Returns `length` random letters (both cases) and digits.
pub(crate) fn alphanumeric(length: usize) -> String {
    Alphanumeric.sample_string(&mut rand::rng(), length)
}

/// Returns `length` random lower-case letters and digits.
pub(crate) fn lower_alphanumeric(length: usize) -> String {
    alphanumeric(length).to_ascii_lowercase()
}

/// Returns `length` random hexadecimal digits in upper case.
pub(crate) fn upper_hexadecimal(length: usize) -> String {
    let mut random = rand::rng();
    (0..length)
        .filter_map(|_| char::from_digit(random.random_range(0..16), 16))
        .collect::<String>()
        .to_ascii_uppercase()
}

/// Returns a random UUID (version 4).
pub(crate) fn uuid() -> String {
    let bits: u128 = rand::rng().random();
    let bits = bits & !(0xf << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
}

/// Returns a random voice bridge of five digits.
pub(crate) fn five_digits() -> u64 {
    rand::rng().random_range(10_000..100_000)
}
