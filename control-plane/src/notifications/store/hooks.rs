//! Stored values of registered webhooks: `hooks/TENANT/ID`. The fleet does not fold them, and
//! `keys` does not parse them.

use bytes::Bytes;
use prost::Message;
use usher_model::{
    id::{MeetingId, TenantId},
    request_mark::RequestMark,
};
use usher_proto::store as pb;

use crate::{
    notifications::rules::{hooks::RegisteredHook, ids::HookId},
    store::codec::ValueError,
};

/// Prefix of the registrations' keys.
pub const PREFIX: &str = "hooks/";

/// Returns the prefix of a tenant's registrations.
pub fn prefix_of(tenant: &TenantId) -> String {
    format!("{PREFIX}{tenant}/")
}

/// Returns the key of a registration.
pub fn path(tenant: &TenantId, id: &HookId) -> String {
    format!("{PREFIX}{tenant}/{id}")
}

/// Returns the hook that a key names.
pub fn id_of(path: &str) -> Option<(TenantId, HookId)> {
    let (tenant, id) = path.strip_prefix(PREFIX)?.split_once('/')?;
    Some((TenantId::parse(tenant).ok()?, HookId::parse(id).ok()?))
}

/// Encodes a registration. A registration is written once and never changed, so that no fields of a
/// newer version must be kept.
pub fn encode(registration: &RegisteredHook) -> Bytes {
    let value = pb::HookValue {
        callback_url: registration.url.clone(),
        meeting_id: registration.meeting.as_ref().map(ToString::to_string).unwrap_or_default(),
        event_ids: registration.events.clone(),
        raw: registration.raw,
        created_at_ms: registration.created_at_ms,
        created_by: RequestMark::to_stored(registration.created_by),
    };
    value.encode_to_vec().into()
}

/// Reads a registration of a tenant.
///
/// # Errors
/// The bytes are none.
pub fn decode(tenant: &TenantId, bytes: &[u8]) -> Result<RegisteredHook, ValueError> {
    let value = pb::HookValue::decode(bytes)?;
    let id = |source| ValueError::Id { field: "meeting_id", source };
    let meeting = Some(value.meeting_id).filter(|id| !id.is_empty());
    Ok(RegisteredHook {
        tenant: tenant.clone(),
        url: value.callback_url,
        meeting: meeting.map(|meeting| MeetingId::parse(&meeting)).transpose().map_err(id)?,
        events: value.event_ids,
        raw: value.raw,
        created_at_ms: value.created_at_ms,
        created_by: RequestMark::from_stored(&value.created_by),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_registration_and_its_key_read_back(
            tenant in "[A-Za-z0-9._-]{1,64}", url in "https?://[a-z]{1,9}/.{0,40}",
            meeting in prop::option::of(".{1,40}"), events in prop::collection::vec("[a-z-]{1,20}", 0..4),
            raw in any::<bool>(), created_at_ms in any::<i64>(), mark in any::<Option<([u8; 16], [u8; 16])>>(),
        ) {
            let tenant = TenantId::parse(&tenant).expect("is a name");
            let meeting = meeting.map(|id| MeetingId::parse(&id).expect("is an id"));
            let created_by = mark.map(|(id, content)| RequestMark { id, content });
            let tenant_id = tenant.clone();
            let registration =
                RegisteredHook { tenant: tenant_id, url, meeting, events, raw, created_at_ms, created_by };
            let path = path(&tenant, &registration.id());
            prop_assert!(path.starts_with(&prefix_of(&tenant)));
            prop_assert_eq!(id_of(&path), Some((tenant.clone(), registration.id())));
            prop_assert_eq!(decode(&tenant, &encode(&registration)), Ok(registration));
        }
    }

    #[test]
    fn a_key_that_names_no_hook_is_none() {
        for path in ["hooks/", "hooks/a", "hooks/a/b", "servers/a/3f2b8c1e-1f5d-8f64-9d7a-0c2f6c0b5a11"] {
            assert_eq!(id_of(path), None, "{path}");
        }
        assert!(decode(&TenantId::default_tenant(), b"\x08").is_err());
    }
}
