//! Keys as the store holds them, relative to its prefix (design 3).
//!
//! A meeting id may hold any character, so it is percent-encoded. Only the canonical form of a key
//! is read, so that two different keys never name one value.

pub use super::key_error::KeyError;
use super::{key_error::KeyPartError, key_family::KeyFamily};
use crate::core::{families::with_families, plan::FleetKey};

/// Key of the schema version and the epoch.
pub const META: &str = "meta";

/// Key of the servers and tenants that a rebuild awaits.
pub const AWAITED: &str = "awaited";

/// Key of the secret that seals revisions (ADR 19).
pub const HISTORY_KEY: &str = "history/key";

/// Key that is written beside every deletion, so that a deletion of another program is told apart
/// from Usher's own.
pub const DELETIONS: &str = "deletions";

/// Prefix of the keys by which earlier versions proved the age of samples; no version reads them now
/// (ADR 34).
pub const RETIRED_FRESHNESS: &str = "fresh/";

/// Prefix of the candidates' keys; the oldest candidate leads.
pub const ELECTION: &str = "election/";

macro_rules! family_keys {
    ($($(#[$doc:meta])* $family:ident($key:ty) => $value:ty;)*) => {
        /// Returns the path of a value, relative to the store's prefix.
        pub fn path(key: &FleetKey) -> String {
            match key {
                $(FleetKey::$family(key) => prefix_of::<$value>() + &<$value as KeyFamily>::path(key),)*
            }
        }

        /// Reads the parts of a key below the name of its family; `None` if the family is unknown.
        fn parse_parts(family: &str, parts: &[&str]) -> Option<Result<FleetKey, KeyPartError>> {
            match family {
                $(<$value as KeyFamily>::NAME => {
                    Some(<$value as KeyFamily>::parse(parts).map(FleetKey::$family))
                })*
                _ => None,
            }
        }
    };
}

with_families!(family_keys);

/// Returns the prefix of the keys of a family.
pub(crate) fn prefix_of<F: KeyFamily>() -> String {
    format!("{}/", F::NAME)
}

/// Reads a key. Returns `None` for a key of a family that the fleet does not fold (the election,
/// `meta`, and families of a newer version).
///
/// # Errors
/// The family is known and the rest is not in the form that this program writes.
pub fn parse(text: &str) -> Result<Option<FleetKey>, KeyError> {
    let Some((family, rest)) = text.split_once('/') else { return Ok(None) };
    let parts: Vec<&str> = rest.split('/').collect();
    let Some(parsed) = parse_parts(family, &parts) else { return Ok(None) };
    let key = parsed.map_err(|fault| fault.of(text))?;
    if path(&key) == text { Ok(Some(key)) } else { Err(KeyError::Form(text.to_owned())) }
}

#[cfg(test)]
mod tests;
