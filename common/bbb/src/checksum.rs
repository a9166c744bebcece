//! Checksums of BigBlueButton (wire-contract 1): `hex(H(call + query + secret))`. The query is the raw one without its
//! checksum, and the length of the checksum selects the hash H.

use std::{fmt, str::FromStr};

use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

use super::hex;
use crate::{secret::Secret, work};

/// The size of the longest digest, bytes.
const DIGEST_MAX: usize = 64;

/// A hash that signs requests. The length of its hexadecimal form identifies it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum ChecksumAlgorithm {
    /// SHA-1, 40 hexadecimal digits.
    Sha1,
    /// SHA-256, 64 hexadecimal digits.
    #[default]
    Sha256,
    /// SHA-384, 96 hexadecimal digits.
    Sha384,
    /// SHA-512, 128 hexadecimal digits.
    Sha512,
}

impl ChecksumAlgorithm {
    /// Every hash, the weakest first.
    pub const ALL: [Self; 4] = [Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns the hash whose hexadecimal form has `length` digits.
    pub const fn from_hex_len(length: usize) -> Option<Self> {
        match length {
            40 => Some(Self::Sha1),
            64 => Some(Self::Sha256),
            96 => Some(Self::Sha384),
            128 => Some(Self::Sha512),
            _ => None,
        }
    }

    /// Returns the number of hexadecimal digits of a checksum.
    pub const fn hex_len(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
            Self::Sha384 => 96,
            Self::Sha512 => 128,
        }
    }

    /// Returns the name of the hash in the configuration of BBB.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

impl fmt::Display for ChecksumAlgorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The error for a name of no known hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is none of sha1, sha256, sha384, sha512")]
pub struct UnknownAlgorithm(String);

impl FromStr for ChecksumAlgorithm {
    type Err = UnknownAlgorithm;

    fn from_str(name: &str) -> Result<Self, UnknownAlgorithm> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
            .ok_or_else(|| UnknownAlgorithm(name.chars().take(16).collect()))
    }
}

/// Returns the checksum of a call in lower case. `query` is the raw query without a checksum.
pub fn sign(algorithm: ChecksumAlgorithm, call: &str, query: &str, secret: &Secret) -> String {
    let mut out = String::with_capacity(algorithm.hex_len());
    let mut digest = [0; DIGEST_MAX];
    hex::push_lower(&mut out, hash(algorithm, call, query, secret, &mut digest));
    out
}

/// Returns `query` with its checksum appended, in the same allocation if it has room.
pub fn sign_query(algorithm: ChecksumAlgorithm, call: &str, query: String, secret: &Secret) -> String {
    sign_from(algorithm, call, query, 0, secret)
}

/// Returns `text` with the checksum of the query that begins at byte `start` appended, in the same
/// allocation if it has room for `&checksum=` and twice the digest.
///
/// # Panics
/// `start` is neither the beginning of a character of `text` nor its end.
pub fn sign_from(
    algorithm: ChecksumAlgorithm,
    call: &str,
    mut text: String,
    start: usize,
    secret: &Secret,
) -> String {
    text.reserve("&checksum=".len() + algorithm.hex_len());
    let mut digest = [0; DIGEST_MAX];
    let query = &text[start..];
    let first = query.is_empty();
    let digest = hash(algorithm, call, query, secret, &mut digest);
    text.push_str(if first { "checksum=" } else { "&checksum=" });
    hex::push_lower(&mut text, digest);
    text
}

/// Tells whether `given`, in either case, is the checksum of a call under one of `secrets`.
/// `query` is the raw query without a checksum. Digests are compared in constant time.
pub fn verify<'s>(
    call: &str,
    query: &str,
    given: &str,
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> bool {
    verify_parts(call, [query], given, secrets)
}

/// Does the same as [`verify`] for a query that is in several parts, which are not copied.
pub fn verify_parts<'s, const N: usize>(
    call: &str,
    query: [&str; N],
    given: &str,
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> bool {
    let Some(algorithm) = ChecksumAlgorithm::from_hex_len(given.len()) else { return false };
    let mut bytes = [0; DIGEST_MAX];
    let Some(given) = hex::read(given, &mut bytes) else { return false };
    match algorithm {
        ChecksumAlgorithm::Sha1 => matches_any::<Sha1, N>(call, query, given, secrets),
        ChecksumAlgorithm::Sha256 => matches_any::<Sha256, N>(call, query, given, secrets),
        ChecksumAlgorithm::Sha384 => matches_any::<Sha384, N>(call, query, given, secrets),
        ChecksumAlgorithm::Sha512 => matches_any::<Sha512, N>(call, query, given, secrets),
    }
}

/// Compares the checksum with that of each secret. The common part, call and query, is hashed once.
fn matches_any<'s, H: Digest + Clone, const N: usize>(
    call: &str,
    query: [&str; N],
    given: &[u8],
    secrets: impl IntoIterator<Item = &'s Secret>,
) -> bool {
    let mut common = H::new().chain_update(call);
    for part in query {
        work::count(part.len());
        common.update(part);
    }
    secrets
        .into_iter()
        .any(|secret| common.clone().chain_update(secret.expose()).finalize().as_slice().ct_eq(given).into())
}

fn hash<'o>(
    algorithm: ChecksumAlgorithm,
    call: &str,
    query: &str,
    secret: &Secret,
    out: &'o mut [u8; DIGEST_MAX],
) -> &'o [u8] {
    match algorithm {
        ChecksumAlgorithm::Sha1 => hash_by::<Sha1>(call, query, secret, out),
        ChecksumAlgorithm::Sha256 => hash_by::<Sha256>(call, query, secret, out),
        ChecksumAlgorithm::Sha384 => hash_by::<Sha384>(call, query, secret, out),
        ChecksumAlgorithm::Sha512 => hash_by::<Sha512>(call, query, secret, out),
    }
}

fn hash_by<'o, H: Digest>(
    call: &str,
    query: &str,
    secret: &Secret,
    out: &'o mut [u8; DIGEST_MAX],
) -> &'o [u8] {
    work::count(query.len());
    let digest = H::new().chain_update(call).chain_update(query).chain_update(secret.expose()).finalize();
    let out = &mut out[..digest.len()];
    out.copy_from_slice(&digest);
    out
}

#[cfg(test)]
mod tests;
