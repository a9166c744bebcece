//! Scoped meeting ids: the ids on servers, by which two tenants can use one id (ADR 7).
//!
//! The id `lesson` of tenant `school` is `school~lesson` on a server. Ids of tenant `default` stay as they
//! are, except ids that look scoped: `school~lesson` of `default` is `default~school~lesson`. So two ids of
//! any tenants never collide on a server, and each scoped id can be read back, because a tenant id has no `~`
//! and ends at the first one.
//!
//! Meetings that another balancer created for a tenant are *unscoped*: their id on the server is the id of the
//! tenant. They are recognised by their internal id, which begins with the hash of that id (ADR 12).

use std::{fmt, sync::Arc};

use sha1::{Digest, Sha1};

use crate::id::{InternalMeetingId, TenantId};
use usher_bbb::{hex, text_length::utf16_length};

/// The separator of tenant and id. No tenant id has it, URLs and XML do not escape it, and BBB gives it no
/// meaning.
const SEPARATOR: char = '~';
/// The number of hexadecimal digits of a SHA-1.
const SHA1_HEX: usize = 40;
/// The largest length of a `meetingID` that servers accept, UTF-16 units.
pub const SERVER_ID_MAX: usize = 256;

/// The form that the ids of one tenant have on servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantScope {
    /// Prefix of scoped ids, `TENANT~`.
    prefix: Arc<str>,
    is_default: bool,
}

/// An id on a server, in its two parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScopedId<'a> {
    /// Prefix `TENANT~`, or empty for an id that is not scoped.
    pub prefix: &'a str,
    /// Id as the application wrote it.
    pub id: &'a str,
}

impl TenantScope {
    /// Returns the scope of a tenant.
    pub fn of(tenant: &TenantId) -> Self {
        let is_default = tenant.as_str() == TenantId::DEFAULT;
        Self { prefix: format!("{tenant}{SEPARATOR}").into(), is_default }
    }

    /// Returns the prefix of the scoped ids of the tenant.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Returns the id that servers get for an id of the tenant.
    pub fn scoped<'a>(&'a self, id: &'a str) -> ScopedId<'a> {
        let plain = self.is_default && !looks_scoped(id);
        ScopedId { prefix: if plain { "" } else { &self.prefix }, id }
    }

    /// Tells whether `instance` of the meeting `id` was created unscoped, although Usher would have scoped the id.
    /// It is false for ids of tenant `default` that stay as they are.
    pub fn is_unscoped(&self, id: &str, instance: &InternalMeetingId) -> bool {
        !self.is_default && unscoped_id(id).is_some() && is_instance_of(id, instance)
    }

    /// Tells whether `instance` was created with the id that Usher gives the meeting `id` on servers.
    pub fn is_instance(&self, id: &str, instance: &InternalMeetingId) -> bool {
        is_instance_of(&self.scoped(id).to_string(), instance)
    }

    /// Returns the part before the time of the internal ids that servers make for the meeting `id` (wire-contract
    /// 4.2).
    pub fn instance_stem(&self, id: &str) -> String {
        let mut stem = String::with_capacity(SHA1_HEX);
        hex::push_lower(&mut stem, &Sha1::digest(self.scoped(id).to_string()));
        stem
    }

    /// Returns the id on the server that runs `instance` of a meeting. Without an instance it is the scoped id.
    pub fn on_server<'a>(&'a self, id: &'a str, instance: Option<&InternalMeetingId>) -> ScopedId<'a> {
        if instance.is_some_and(|instance| self.is_unscoped(id, instance)) {
            ScopedId { prefix: "", id }
        } else {
            self.scoped(id)
        }
    }

    /// Returns the id of the tenant for the id `on_server`, or `None` if that is no id of this tenant.
    pub fn original<'a>(&self, on_server: &'a str) -> Option<&'a str> {
        match on_server.strip_prefix(&*self.prefix) {
            Some(id) if !id.is_empty() && (!self.is_default || looks_scoped(id)) => Some(id),
            _ if self.is_default && !looks_scoped(on_server) => Some(on_server),
            _ => None,
        }
    }

    /// Returns the largest length of an id of the tenant that fits on a server, UTF-16 units.
    pub fn id_max(&self) -> usize {
        SERVER_ID_MAX - if self.is_default { 0 } else { self.prefix.len() }
    }
}

impl ScopedId<'_> {
    /// Returns the length of prefix and id together, UTF-16 units.
    pub fn length(&self) -> usize {
        utf16_length(self.prefix) + utf16_length(self.id)
    }
}

impl fmt::Display for ScopedId<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.prefix, self.id)
    }
}

/// Tells whether a server could take an id for the beginning of an internal id, `sha1hex-createTime`, and so
/// for the id of any meeting: servers search for internal ids first (wire-contract 2). Only a whole internal
/// id names one meeting for certain.
pub fn looks_internal(on_server: &str) -> bool {
    let is_hex = |byte: &u8| byte.is_ascii_digit() || matches!(byte, b'a'..=b'f');
    let bytes = on_server.as_bytes();
    match bytes.iter().position(|byte| !is_hex(byte)) {
        None => bytes.len() <= SHA1_HEX,
        Some(at) => at == SHA1_HEX && bytes[at] == b'-' && bytes[at + 1..].iter().all(u8::is_ascii_digit),
    }
}

/// Returns the id of an unscoped meeting, of any tenant, with the id `on_server`. Returns `None` if that id
/// looks scoped: an unscoped meeting with such an id could not be distinguished from a scoped one.
pub fn unscoped_id(on_server: &str) -> Option<&str> {
    (!looks_scoped(on_server)).then_some(on_server)
}

/// The SHA-1 of an id on servers. It begins the internal id of each instance, and so names the id exactly, also
/// where a server writes the id otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdHash([u8; SHA1_HEX / 2]);

impl IdHash {
    /// Returns the hash of the id `on_server`.
    pub fn of(on_server: &str) -> Self {
        Self(Sha1::digest(on_server).into())
    }

    /// Returns the hash in an internal id, or `None` if it has another form: a meeting on the bridge for voice tests
    /// has no hash (wire-contract 2).
    pub fn of_instance(instance: &str) -> Option<Self> {
        let (hash, _) = instance.split_once('-')?;
        let mut bytes = [0; SHA1_HEX / 2];
        (hash.len() == SHA1_HEX && hex::read(hash, &mut bytes).is_some()).then_some(Self(bytes))
    }
}

/// Tells whether servers write an id otherwise in their answers: they squeeze runs of white space to one blank or
/// line break (wire-contract 3). The test is wider than that of any server, which does no harm.
pub fn is_squeezed(id: &str) -> bool {
    let mut white_before = false;
    id.chars().any(|c| {
        let (white, before) = (is_white(c), white_before);
        white_before = white;
        white && (before || c != ' ')
    })
}

/// Tells whether an answer shows another id than the one that `instance` was created with. Only white space is ever
/// altered, so that other ids cost no hash.
pub fn is_altered(shown: &str, instance: &str) -> bool {
    shown.contains(is_white) && IdHash::of_instance(instance).is_some_and(|hash| hash != IdHash::of(shown))
}

/// Tells whether a server takes a character for white space: the separators of Unicode and those of ASCII.
fn is_white(c: char) -> bool {
    c.is_whitespace() || ('\u{1c}'..='\u{1f}').contains(&c)
}

/// Tells whether a server derives an internal id from the id `on_server`.
fn is_instance_of(on_server: &str, instance: &InternalMeetingId) -> bool {
    IdHash::of_instance(instance.as_str()).is_some_and(|hash| hash == IdHash::of(on_server))
}

/// Tells whether an id has the form of a scoped id of some tenant.
fn looks_scoped(id: &str) -> bool {
    id.split_once(SEPARATOR).is_some_and(|(tenant, rest)| !rest.is_empty() && TenantId::is_name(tenant))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scope(tenant: &str) -> TenantScope {
        TenantScope::of(&TenantId::parse(tenant).unwrap())
    }

    #[test]
    fn ids_of_default_stay_as_they_are_unless_they_look_scoped() {
        let default = scope("default");
        for id in ["room", "~room", "room~", "a b~room", "東京~01", &"x".repeat(65), "f1d2-5-8"] {
            assert_eq!(default.scoped(id).to_string(), id);
        }
        for id in ["school~room", "default~room", "default~a~b"] {
            assert_eq!(default.scoped(id).to_string(), format!("default~{id}"));
        }
        assert_eq!(scope("school").scoped("room").to_string(), "school~room");
        assert_eq!(scope("school").scoped("a~b").to_string(), "school~a~b");
    }

    #[test]
    fn no_tenant_reads_an_id_of_another_as_its_own() {
        for other in ["school~room", "schoo~room", "schools~room", "default~room", "school~", "room"] {
            let expected = if other == "school~room" { Some("room") } else { None };
            assert_eq!(scope("school").original(other), expected, "{other}");
        }
        assert_eq!(scope("default").original("school~room"), None);
        assert_eq!(scope("default").original("default~school~room"), Some("school~room"));
        assert_eq!(scope("default").original("default~room"), None, "no id of ours is written so");
    }

    #[test]
    fn unscoped_meetings_are_recognised_by_their_internal_id() {
        let unscoped = InternalMeetingId::parse(&format!("{}-170", sha1("room"))).unwrap();
        let scoped = InternalMeetingId::parse(&format!("{}-170", sha1("school~room"))).unwrap();
        let school = scope("school");
        assert_eq!(school.on_server("room", Some(&unscoped)).to_string(), "room");
        for instance in [Some(&scoped), None] {
            assert_eq!(school.on_server("room", instance).to_string(), "school~room");
        }
        assert!(!school.is_unscoped("other", &unscoped) && !scope("default").is_unscoped("room", &unscoped));
        let looks_scoped = InternalMeetingId::parse(&format!("{}-170", sha1("a~room"))).unwrap();
        assert!(!school.is_unscoped("a~room", &looks_scoped), "it could be another tenant's");
    }

    fn sha1(text: &str) -> String {
        Sha1::digest(text).iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn an_id_that_a_server_squeezed_is_told_from_another_by_its_instance() {
        for (id, shown) in
            [("a  b", "a b"), ("a\tb", "a b"), ("a \n b", "a\nb"), ("  x", " x"), ("a\u{2003}b", "a b")]
        {
            assert!(is_squeezed(id), "{id:?}");
            let instance = format!("{}-170", sha1(id));
            assert!(is_altered(shown, &instance), "{id:?}");
            assert!(!is_altered(id, &instance), "{id:?} is shown as it is");
            assert!(!is_altered(shown, &format!("{}-170", sha1(shown))), "another meeting");
        }
        for id in ["a b", "ab", " a", "a b c "] {
            assert!(!is_squeezed(id), "{id:?}");
        }
        assert!(
            !is_altered("a b", "-1795989741120") && !is_altered("a b", "odd-5"),
            "no hash to compare with"
        );
    }

    #[test]
    fn ids_that_look_internal_are_recognised() {
        let sha1 = "6fea8cf5c91f71a844862ead37a54d70198c664e";
        for id in ["42", "cafe", sha1, &format!("{sha1}-"), &format!("{sha1}-170")] {
            assert!(looks_internal(id), "{id}");
        }
        for id in ["room", "CAFE", "42-1", "school~42", &format!("{sha1}0"), &format!("{sha1}-5-8"), "a b"] {
            assert!(!looks_internal(id), "{id}");
        }
    }

    proptest! {
        #[test]
        fn two_ids_are_never_one_on_a_server_and_each_reads_back(
            a in prop_oneof![Just("default"), Just("a"), Just("a.b"), Just("b")],
            b in prop_oneof![Just("default"), Just("a"), Just("a.b"), Just("b")],
            x in "[ab.~]{1,8}|default~[ab~]{1,5}|\\PC{1,12}",
            y in "[ab.~]{1,8}|default~[ab~]{1,5}|\\PC{1,12}",
        ) {
            let (scope_a, scope_b) = (scope(a), scope(b));
            let (on_a, on_b) = (scope_a.scoped(&x).to_string(), scope_b.scoped(&y).to_string());
            prop_assert_eq!(on_a == on_b, (a, &x) == (b, &y));
            prop_assert_eq!(scope_a.original(&on_a), Some(x.as_str()));
            if a != b {
                prop_assert_eq!(scope_b.original(&on_a), None);
            }
        }
    }
}
