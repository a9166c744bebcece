#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| usher_fuzz::targets::document_body(input));
