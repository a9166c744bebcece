//! Resource names: `servers/ID`, `tenants/ID`, `tenants/TENANT/meetings/ID`, and a zombie's below
//! its meeting's.

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, ZombieKey},
};

use super::status::RpcRefusal;

/// Returns the resource name of a server.
pub(crate) fn server(id: &ServerId) -> String {
    format!("servers/{id}")
}

/// Reads the resource name of a server.
///
/// # Errors
/// The text is not such a name.
pub(crate) fn parse_server(field: &str, name: &str) -> Result<ServerId, RpcRefusal> {
    let id =
        name.strip_prefix("servers/").ok_or_else(|| RpcRefusal::field(field, "write it as `servers/ID`"))?;
    ServerId::parse(id).map_err(|error| RpcRefusal::field(field, error.to_string()))
}

/// Returns the resource name of a tenant.
pub(crate) fn tenant(id: &TenantId) -> String {
    format!("tenants/{id}")
}

/// Reads the resource name of a tenant.
///
/// # Errors
/// The text is not such a name.
pub(crate) fn parse_tenant(field: &str, name: &str) -> Result<TenantId, RpcRefusal> {
    let id =
        name.strip_prefix("tenants/").ok_or_else(|| RpcRefusal::field(field, "write it as `tenants/ID`"))?;
    TenantId::parse(id).map_err(|error| RpcRefusal::field(field, error.to_string()))
}

/// Returns the resource name of a meeting.
pub(crate) fn meeting(key: &MeetingKey) -> String {
    let id = utf8_percent_encode(key.meeting.as_str(), NON_ALPHANUMERIC);
    format!("tenants/{}/meetings/{id}", key.tenant)
}

/// Reads the resource name of a meeting.
///
/// # Errors
/// The text is not such a name.
pub(crate) fn parse_meeting(field: &str, name: &str) -> Result<MeetingKey, RpcRefusal> {
    let form = "write it as `tenants/TENANT/meetings/ID`, the id percent-encoded";
    let wrong = || RpcRefusal::field(field, form);
    let (tenant, id) =
        name.strip_prefix("tenants/").and_then(|rest| rest.split_once("/meetings/")).ok_or_else(wrong)?;
    let tenant = TenantId::parse(tenant).map_err(|error| RpcRefusal::field(field, error.to_string()))?;
    let id = percent_decode_str(id).decode_utf8().map_err(|_| wrong())?;
    let meeting = MeetingId::parse(&id).map_err(|error| RpcRefusal::field(field, error.to_string()))?;
    Ok(MeetingKey::new(tenant, meeting))
}

/// Returns the resource name of a zombie.
pub(crate) fn zombie(key: &ZombieKey) -> String {
    format!("{}/zombies/{}", meeting(&key.meeting), key.server)
}

/// Reads the resource name of a zombie.
///
/// # Errors
/// The text is not such a name.
pub(crate) fn parse_zombie(field: &str, name: &str) -> Result<ZombieKey, RpcRefusal> {
    let form = "write it as `tenants/TENANT/meetings/ID/zombies/SERVER`, the id percent-encoded";
    let (meeting, server) = name.rsplit_once("/zombies/").ok_or_else(|| RpcRefusal::field(field, form))?;
    let server = ServerId::parse(server).map_err(|error| RpcRefusal::field(field, error.to_string()))?;
    Ok(ZombieKey { meeting: parse_meeting(field, meeting)?, server })
}

/// Reads the parent of a list of meetings; `None` means all tenants.
///
/// # Errors
/// The text is not such a name.
pub(crate) fn parse_tenant_parent(field: &str, name: &str) -> Result<Option<TenantId>, RpcRefusal> {
    match name.strip_prefix("tenants/") {
        Some("-") => Ok(None),
        Some(id) => {
            TenantId::parse(id).map(Some).map_err(|error| RpcRefusal::field(field, error.to_string()))
        }
        None if name.is_empty() => Ok(None),
        None => Err(RpcRefusal::field(field, "write it as `tenants/TENANT`, or `tenants/-` for all")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_meetings_hold_any_id_and_read_back() {
        for id in ["room-42", "東京 /+%-01", "a/meetings/b"] {
            let key = MeetingKey::new(TenantId::default_tenant(), MeetingId::parse(id).expect("is an id"));
            assert_eq!(parse_meeting("name", &meeting(&key)), Ok(key.clone()));
            let server = ServerId::parse("bbb-1").expect("is an id");
            let zombie = ZombieKey { meeting: key, server };
            assert_eq!(parse_zombie("name", &self::zombie(&zombie)), Ok(zombie));
        }
        for name in ["room", "tenants/default", "tenants/default/meetings/", "tenants/a b/meetings/x"] {
            assert!(
                matches!(parse_meeting("name", name), Err(RpcRefusal::Invalid(v)) if v[0].field == "name")
            );
        }
    }
}
