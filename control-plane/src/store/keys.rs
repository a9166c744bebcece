//! Keys as the store holds them, relative to its prefix (design 3).
//!
//! A meeting id may hold any character, so it is percent-encoded. Only the canonical form of a key
//! is read, so that two different keys never name one value.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use usher_model::{
    id::{IdError, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, ZombieKey},
    voice::VoiceBridge,
};

use crate::core::plan::FleetKey;

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

/// Prefix of the health counters.
pub const HEALTH_COUNTERS: &str = "health/";

/// Prefix of the samples.
pub const SAMPLES: &str = "load/";

/// Prefix of the candidates' keys; the oldest candidate leads.
pub const ELECTION: &str = "election/";

const SERVERS: &str = "servers";
const HEALTH: &str = "health";
const LOAD: &str = "load";
const TENANTS: &str = "tenants";
const MEETINGS: &str = "meetings";
const ZOMBIES: &str = "zombies";
const VOICE: &str = "voice";

/// The characters that a key holds unencoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The reason why a key of a known family is unreadable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key has too few or too many parts.
    #[error("key `{0}` has the wrong number of parts")]
    Shape(String),
    /// A part of the key is not an identifier.
    #[error("key `{key}` is malformed")]
    Id {
        /// The complete key, without the store's prefix.
        key: String,
        /// The fault of the part.
        #[source]
        source: IdError,
    },
    /// The key is not in the form that this program writes.
    #[error("key `{0}` is not in canonical form")]
    Form(String),
}

/// Returns the path of a value, relative to the store's prefix.
pub fn path(key: &FleetKey) -> String {
    match key {
        FleetKey::Server(id) => format!("{SERVERS}/{id}"),
        FleetKey::Health(id) => format!("{HEALTH}/{id}"),
        FleetKey::Sample(id) => format!("{LOAD}/{id}"),
        FleetKey::Tenant(id) => format!("{TENANTS}/{id}"),
        FleetKey::Record(meeting) => format!("{MEETINGS}/{}", meeting_path(meeting)),
        FleetKey::Zombie(zombie) => format!("{ZOMBIES}/{}/{}", meeting_path(&zombie.meeting), zombie.server),
        FleetKey::Voice(bridge) => format!("{VOICE}/{bridge}"),
    }
}

fn meeting_path(key: &MeetingKey) -> String {
    format!("{}/{}", key.tenant, utf8_percent_encode(key.meeting.as_str(), ENCODED))
}

/// Reads a key. Returns `None` for a key of a family that the fleet does not fold (the election,
/// `meta`, and families of a newer version).
///
/// # Errors
/// The family is known and the rest is not in the form that this program writes.
pub fn parse(text: &str) -> Result<Option<FleetKey>, KeyError> {
    let Some((family, rest)) = text.split_once('/') else { return Ok(None) };
    let parts: Vec<&str> = rest.split('/').collect();
    let malformed = |source| KeyError::Id { key: text.to_owned(), source };
    let key = match (family, parts.as_slice()) {
        (SERVERS, [id]) => FleetKey::Server(ServerId::parse(id).map_err(malformed)?),
        (HEALTH, [id]) => FleetKey::Health(ServerId::parse(id).map_err(malformed)?),
        (LOAD, [id]) => FleetKey::Sample(ServerId::parse(id).map_err(malformed)?),
        (TENANTS, [id]) => FleetKey::Tenant(TenantId::parse(id).map_err(malformed)?),
        (MEETINGS, [tenant, id]) => FleetKey::Record(meeting(text, tenant, id)?),
        (ZOMBIES, [tenant, id, server]) => FleetKey::Zombie(ZombieKey {
            meeting: meeting(text, tenant, id)?,
            server: ServerId::parse(server).map_err(malformed)?,
        }),
        (VOICE, [number]) => {
            FleetKey::Voice(VoiceBridge::parse(number).ok_or_else(|| KeyError::Form(text.to_owned()))?)
        }
        (SERVERS | HEALTH | LOAD | TENANTS | MEETINGS | ZOMBIES | VOICE, _) => {
            return Err(KeyError::Shape(text.to_owned()));
        }
        _ => return Ok(None),
    };
    if path(&key) == text { Ok(Some(key)) } else { Err(KeyError::Form(text.to_owned())) }
}

fn meeting(text: &str, tenant: &str, id: &str) -> Result<MeetingKey, KeyError> {
    let malformed = |source| KeyError::Id { key: text.to_owned(), source };
    let decoded = percent_decode_str(id).decode_utf8().map_err(|_| KeyError::Form(text.to_owned()))?;
    Ok(MeetingKey::new(
        TenantId::parse(tenant).map_err(malformed)?,
        MeetingId::parse(&decoded).map_err(malformed)?,
    ))
}

#[cfg(test)]
mod tests;
