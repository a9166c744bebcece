//! This library is empty: the package exists for its test binaries, `e2e` and `chaos`.
