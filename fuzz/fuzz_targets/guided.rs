//! The program that libFuzzer runs: one target, named by `USHER_FUZZ_TARGET`.
//! `cargo xtask fuzz --guided` builds it with instrumentation and starts it once for each target.

#![no_main]

use std::sync::LazyLock;

use usher_fuzz::targets::{self, FuzzTarget};

static TARGET: LazyLock<&FuzzTarget> = LazyLock::new(|| {
    let name = std::env::var("USHER_FUZZ_TARGET").expect("USHER_FUZZ_TARGET names a target");
    targets::named(&name).unwrap_or_else(|| panic!("no target `{name}`"))
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| (TARGET.run)(input));
