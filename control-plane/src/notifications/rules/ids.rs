//! Names of deliveries and hooks. Each follows from the content, so that the same content has one name
//! on every replica.

use std::{fmt, sync::Arc};

use sha2::{Digest as _, Sha256};
use usher_model::id::TenantId;

/// Names a delivery: 32 hexadecimal digits that are derived from the delivered content.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeliveryId(Arc<str>);

/// A text that names no delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not 32 hexadecimal digits in lower case")]
pub struct InvalidDeliveryId;

impl DeliveryId {
    /// Reads an id.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, InvalidDeliveryId> {
        let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == 32 && text.bytes().all(hex) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidDeliveryId)
        }
    }

    /// Returns the id of a delivery from the first 16 bytes of its digest.
    pub fn of_digest(bytes: &[u8]) -> Self {
        let digits: String = bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        Self(Arc::from(format!("{digits:0<32}")))
    }

    /// Returns the 32 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Names a hook: a UUID that is derived from tenant and address. One address of one tenant is one hook,
/// also if several replicas register it at the same time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HookId(Arc<str>);

/// A text that names no hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is no UUID in lower case")]
pub struct InvalidHookId;

impl HookId {
    /// Returns the id of a tenant's hook for an address.
    pub fn of(tenant: &TenantId, url: &str) -> Self {
        let digest =
            Sha256::new().chain_update(tenant.as_str()).chain_update([0]).chain_update(url).finalize();
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // RFC 9562: version 8, the variant of all UUIDs.
        bytes[6] = 0x80 | (bytes[6] & 0x0f);
        bytes[8] = 0x80 | (bytes[8] & 0x3f);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let parts = [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]];
        Self(Arc::from(parts.join("-")))
    }

    /// Reads an id.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, InvalidHookId> {
        let fits = |(at, byte): (usize, u8)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        };
        let is_uuid = text.len() == 36 && text.bytes().enumerate().all(fits);
        if is_uuid { Ok(Self(Arc::from(text))) } else { Err(InvalidHookId) }
    }

    /// Returns the UUID as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for HookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_of_one_tenant_is_one_hook() {
        let school = TenantId::parse("school").expect("is a name");
        let id = HookId::of(&school, "https://app.test/cb");
        assert_eq!(id, HookId::of(&school, "https://app.test/cb"));
        assert_ne!(id, HookId::of(&school, "https://app.test/cb2"));
        assert_ne!(id, HookId::of(&TenantId::default_tenant(), "https://app.test/cb"));
        assert_eq!(HookId::parse(id.as_str()), Ok(id.clone()));
        assert_eq!((&id.as_str()[14..15], id.as_str().len()), ("8", 36));
        for text in ["", "1", &id.as_str().to_uppercase(), &format!("{id}0"), "../../servers/x"] {
            assert_eq!(HookId::parse(text), Err(InvalidHookId), "{text}");
        }
    }

    #[test]
    fn ids_are_digits_only() {
        assert!(DeliveryId::parse(&"0a".repeat(16)).is_ok());
        for text in ["", "abc", &"0A".repeat(16), &"0g".repeat(16), &"0".repeat(33)] {
            assert_eq!(DeliveryId::parse(text), Err(InvalidDeliveryId), "{text}");
        }
    }
}
