//! Random changes of valid inputs, for machines without libFuzzer.

use rand::{Rng, RngExt};

/// The longest input, in bytes.
const LENGTH_MAX: usize = 4096;

/// Returns an input that is made of `seeds`.
pub fn input(rng: &mut impl Rng, seeds: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = pick(rng, seeds).to_vec();
    for _ in 0..rng.random_range(0..6) {
        change(rng, &mut bytes, seeds);
    }
    bytes.truncate(LENGTH_MAX);
    bytes
}

fn change(rng: &mut impl Rng, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
    let (from, to) = span(rng, bytes.len());
    match rng.random_range(0..6) {
        0 => drop(bytes.drain(from..to)),
        1 => bytes.truncate(from),
        2 => bytes.insert(from, rng.random()),
        3 => {
            let again = bytes[from..to].to_vec();
            bytes.splice(to..to, again);
        }
        4 => {
            let other = pick(rng, seeds);
            let (start, end) = span(rng, other.len());
            bytes.splice(from..from, other[start..end].iter().copied());
        }
        _ => {
            if let Some(byte) = bytes.get_mut(from) {
                *byte ^= 1 << rng.random_range(0..8);
            }
        }
    }
}

fn pick<'s>(rng: &mut impl Rng, seeds: &'s [Vec<u8>]) -> &'s [u8] {
    seeds.get(rng.random_range(0..seeds.len().max(1))).map_or(&[], Vec::as_slice)
}

fn span(rng: &mut impl Rng, length: usize) -> (usize, usize) {
    let from = rng.random_range(0..=length);
    (from, rng.random_range(from..=length.min(from + 64)))
}
