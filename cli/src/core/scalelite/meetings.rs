//! Reads the meetings: `meetings` and each `meeting:ID`.

use std::collections::BTreeMap;

use usher_model::{
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};

use super::{
    inventory::{FoundMeeting, ScaleliteInventory},
    keys::{HashFields, RedisHash, ScaleliteKeys, field},
};

pub(super) fn read(
    keys: &ScaleliteKeys,
    tenants: &BTreeMap<String, TenantId>,
    found: &mut ScaleliteInventory,
) {
    for (id, entry) in &keys.meetings {
        let key = format!("meeting:{id}");
        match entry {
            RedisHash::Missing => found.ended += 1,
            RedisHash::Unreadable => found.fault(keys, &key, "is not a hash of text"),
            RedisHash::Fields(fields) => match meeting(keys, id, fields, tenants) {
                Ok(meeting) => found.meetings.push(meeting),
                Err(problem) => found.fault(keys, &key, problem),
            },
        }
    }
}

fn meeting(
    keys: &ScaleliteKeys,
    id: &str,
    fields: &HashFields,
    tenants: &BTreeMap<String, TenantId>,
) -> Result<FoundMeeting, String> {
    let meeting = MeetingId::parse(id).map_err(|error| error.to_string())?;
    let server = field(fields, "server_id").ok_or("`server_id` is missing")?;
    if !keys.servers.contains_key(server) {
        return Err("its server was removed from Scalelite".into());
    }
    let server = ServerId::parse(server).map_err(|error| format!("`server_id`: {error}"))?;
    let tenant = match field(fields, "tenant_id") {
        None => TenantId::default_tenant(),
        Some(tenant) => tenants.get(tenant).cloned().ok_or("its tenant is not one that is taken over")?,
    };
    Ok(FoundMeeting { key: MeetingKey::new(tenant, meeting), server })
}
