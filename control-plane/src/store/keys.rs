//! Keys as the store holds them, relative to its prefix (design 3).
//!
//! A meeting id may hold any character, so it is percent-encoded. Only the one canonical form of a
//! key is read: two keys never name the same thing.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use usher_model::{
    id::{IdError, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, ZombieKey},
    voice::VoiceBridge,
};

use crate::core::plan::Key;

/// Key of the schema version and the epoch.
pub const META: &str = "meta";

/// Key of what a rebuild awaits.
pub const AWAITED: &str = "awaited";

/// Key of the key by which revisions are sealed.
pub const HISTORY_KEY: &str = "history/key";

/// Key that is written beside every deletion, so that one by a foreign hand can be told from ours.
pub const DELETIONS: &str = "deletions";

/// Prefix of the candidates' keys; the oldest of them leads.
pub const ELECTION: &str = "election/";

const SERVERS: &str = "servers";
const HEALTH: &str = "health";
const LOAD: &str = "load";
const FRESH: &str = "fresh";
const TENANTS: &str = "tenants";
const MEETINGS: &str = "meetings";
const ZOMBIES: &str = "zombies";
const VOICE: &str = "voice";

/// What stands for itself in a key.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// A key of a known family that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It has too few or too many parts.
    #[error("key `{0}` has the wrong number of parts")]
    Shape(String),
    /// A part is not an identifier.
    #[error("key `{key}` is malformed")]
    Id {
        /// The key.
        key: String,
        /// What is wrong with the part.
        #[source]
        source: IdError,
    },
    /// It is not in the form this program writes.
    #[error("key `{0}` is not in canonical form")]
    Form(String),
}

/// Returns where a value is stored.
pub fn path(key: &Key) -> String {
    match key {
        Key::Server(id) => format!("{SERVERS}/{id}"),
        Key::Health(id) => format!("{HEALTH}/{id}"),
        Key::Sample(id) => format!("{LOAD}/{id}"),
        Key::Freshness(id) => format!("{FRESH}/{id}"),
        Key::Tenant(id) => format!("{TENANTS}/{id}"),
        Key::Record(meeting) => format!("{MEETINGS}/{}", meeting_path(meeting)),
        Key::Zombie(zombie) => format!("{ZOMBIES}/{}/{}", meeting_path(&zombie.meeting), zombie.server),
        Key::Voice(bridge) => format!("{VOICE}/{bridge}"),
    }
}

fn meeting_path(key: &MeetingKey) -> String {
    format!("{}/{}", key.tenant, utf8_percent_encode(key.meeting.as_str(), ENCODED))
}

/// Reads a key; `None` when it belongs to a family that is not folded (the election, `meta`, and
/// whatever a newer version stores).
///
/// # Errors
/// The family is known and the rest is not as this program writes it.
pub fn parse(text: &str) -> Result<Option<Key>, KeyError> {
    let Some((family, rest)) = text.split_once('/') else { return Ok(None) };
    let parts: Vec<&str> = rest.split('/').collect();
    let malformed = |source| KeyError::Id { key: text.to_owned(), source };
    let key = match (family, parts.as_slice()) {
        (SERVERS, [id]) => Key::Server(ServerId::parse(id).map_err(malformed)?),
        (HEALTH, [id]) => Key::Health(ServerId::parse(id).map_err(malformed)?),
        (FRESH, [id]) => Key::Freshness(ServerId::parse(id).map_err(malformed)?),
        (LOAD, [id]) => Key::Sample(ServerId::parse(id).map_err(malformed)?),
        (TENANTS, [id]) => Key::Tenant(TenantId::parse(id).map_err(malformed)?),
        (MEETINGS, [tenant, id]) => Key::Record(meeting(text, tenant, id)?),
        (ZOMBIES, [tenant, id, server]) => Key::Zombie(ZombieKey {
            meeting: meeting(text, tenant, id)?,
            server: ServerId::parse(server).map_err(malformed)?,
        }),
        (VOICE, [number]) => {
            Key::Voice(VoiceBridge::parse(number).ok_or_else(|| KeyError::Form(text.to_owned()))?)
        }
        (SERVERS | HEALTH | LOAD | FRESH | TENANTS | MEETINGS | ZOMBIES | VOICE, _) => {
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
