//! All randomness of a history comes from its seed.
//!
//! The simulation draws from [`SeededChance`]. The randomness that the product, its libraries and tokio
//! draw from the operating system (seeds of hash maps, tokens, epochs, pauses, the order in which
//! tokio wakes tasks) comes from [`getrandom`] here: the standard library and the `getrandom` crate
//! both look the symbol up so that it can be replaced. tokio has its own seed only under `--cfg
//! tokio_unstable`, which would require a second build of every crate.

use std::{
    ffi::{c_uint, c_void},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use rand::{RngExt, SeedableRng, rngs::StdRng};

/// The state of the generator that replaces the operating system's; 0 before a history begins.
static OF_THE_SYSTEM: AtomicU64 = AtomicU64::new(0);

/// Makes all randomness of the operating system follow from `seed`, in threads that start from now
/// on.
pub(crate) fn seed_system_randomness(seed: u64) {
    OF_THE_SYSTEM.store(seed | 1 << 63, Ordering::SeqCst);
}

/// Replaces the function `getrandom` of libc.
///
/// # Safety
/// The contract of libc: `buffer` has room for `length` bytes.
#[allow(unsafe_code, reason = "a symbol of libc is replaced, with its own contract")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut c_void, length: usize, _flags: c_uint) -> isize {
    if length == 0 {
        return 0; // a test whether the function exists; the pointer may be invalid
    }
    // SAFETY: the caller guarantees `length` writable bytes.
    let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
    for chunk in bytes.chunks_mut(8) {
        let state = OF_THE_SYSTEM.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::SeqCst);
        chunk.copy_from_slice(&mix(state).to_le_bytes()[..chunk.len()]);
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}

/// Returns the result of the finalizer of splitmix64.
fn mix(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    state ^ (state >> 31)
}

/// The random numbers of the simulation.
pub(crate) struct SeededChance(Mutex<StdRng>);

impl SeededChance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(StdRng::seed_from_u64(seed)))
    }

    /// Returns true in `permille` of a thousand calls.
    pub(crate) fn happens(&self, permille: u32) -> bool {
        self.below(1000) < u64::from(permille)
    }

    /// Returns a number below `limit`, which is at least 1.
    pub(crate) fn below(&self, limit: u64) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).random_range(0..limit.max(1))
    }

    /// Returns one element of a list that is not empty.
    pub(crate) fn one_of<'a, T>(&self, choices: &'a [T]) -> &'a T {
        &choices[self.below(choices.len() as u64) as usize]
    }

    /// Returns a duration between two others.
    pub(crate) fn between(&self, least: Duration, most: Duration) -> Duration {
        let span = most.saturating_sub(least).as_millis() as u64;
        least + Duration::from_millis(self.below(span + 1))
    }

    /// Returns the time until the next of random events that are `mean` apart on average.
    pub(crate) fn until_next(&self, mean: Duration) -> Duration {
        let share = (self.below(1_000_000) + 1) as f64 / 1_000_001.0;
        mean.mul_f64(-share.ln())
    }
}
