//! Headers of the PROXY protocol.

use usher_edge_proxy::server::fuzz_entries::{self, ProxyHeaderVerdict};

/// The longest header: the fixed part of version 2, and the longest rest.
const HEADER_MAX: usize = 16 + 4096;

/// Reads a header: the verdict on the beginning of a connection is the same for every longer part of
/// it, and no connection is read on without end.
pub(super) fn proxy_header(input: &[u8]) {
    let verdict = fuzz_entries::proxy_header(input);
    match verdict {
        ProxyHeaderVerdict::Whole { length, .. } => {
            assert!(length <= input.len() && length <= HEADER_MAX);
            assert_eq!(fuzz_entries::proxy_header(&input[..length]), verdict, "alone");
            for cut in (0..length).rev().take(64) {
                let cut = fuzz_entries::proxy_header(&input[..cut]);
                assert_eq!(cut, ProxyHeaderVerdict::Incomplete, "of {length}");
            }
        }
        ProxyHeaderVerdict::Incomplete => {
            assert!(input.len() < HEADER_MAX, "{} bytes are no whole header", input.len());
        }
        ProxyHeaderVerdict::Invalid => {
            let longer = [input, b"\r\n"].concat();
            assert_eq!(fuzz_entries::proxy_header(&longer), verdict, "a refusal is final");
        }
    }
}
