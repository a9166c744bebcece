//! Reads the servers: `servers` and each `server:ID`.

use usher_bbb::secret::Secret;
use usher_model::{
    id::ServerId,
    server::{AdminState, base_url},
};

use super::{
    inventory::{FoundServer, ScaleliteInventory},
    keys::{HashFields, RedisHash, ScaleliteKeys, field},
};
use crate::core::server_list::{ServerSpec, tags, weight};

pub(super) fn read(keys: &ScaleliteKeys, found: &mut ScaleliteInventory) {
    for (id, entry) in &keys.servers {
        let key = format!("server:{id}");
        match entry {
            RedisHash::Missing => found.fault(keys, &key, "is named in `servers` and does not exist"),
            RedisHash::Unreadable => found.fault(keys, &key, "is not a hash of text"),
            RedisHash::Fields(fields) => match server(keys, id, fields) {
                Ok(server) => found.servers.push(server),
                Err(problems) => problems.into_iter().for_each(|problem| found.fault(keys, &key, problem)),
            },
        }
    }
}

fn server(keys: &ScaleliteKeys, id: &str, fields: &HashFields) -> Result<FoundServer, Vec<String>> {
    // Scalelite treats 0 as an absent multiplier.
    let multiplier = field(fields, "load_multiplier").filter(|text| text.parse::<f64>() != Ok(0.0));
    let mut problems = Vec::new();
    let mut noted = |problem: String| problems.push(problem);
    let name = ServerId::parse(id).map_err(|error| noted(error.to_string())).ok();
    let url = field(fields, "url").ok_or("`url` is missing".to_owned());
    let url = url.and_then(|url| base_url(url).map_err(|error| format!("`url` {error}")));
    let url = url.map_err(&mut noted).ok();
    let secret = field(fields, "secret").map(Secret::new);
    let secret = secret.ok_or("`secret` is missing; `bbb-conf --secret` on the server prints it".to_owned());
    let secret = secret.map_err(&mut noted).ok();
    let weight = multiplier.map_or(Ok(1.0), weight).map_err(|problem| noted(problem.to_owned())).ok();
    let tags =
        tags(field(fields, "tag").unwrap_or_default()).map_err(|problem| noted(problem.to_owned())).ok();
    let admin = admin(keys, id, field(fields, "state")).map_err(|problem| noted(problem.to_owned())).ok();
    let server = || {
        let admin = admin?;
        let enabled = admin == AdminState::Enabled;
        let spec =
            ServerSpec { id: name?, url: url?, secret: secret?, enabled, weight: weight?, tags: tags? };
        Some(FoundServer { spec, admin })
    };
    server().ok_or(problems)
}

/// Returns the admin state. Scalelite versions without the field `state` keep it in two sets.
fn admin(keys: &ScaleliteKeys, id: &str, state: Option<&str>) -> Result<AdminState, &'static str> {
    match state {
        Some("enabled") => Ok(AdminState::Enabled),
        Some("cordoned") => Ok(AdminState::Cordoned),
        Some("disabled") => Ok(AdminState::Disabled),
        Some(_) => Err("`state` is none of enabled, cordoned, disabled"),
        None if keys.enabled.contains(id) => Ok(AdminState::Enabled),
        None if keys.cordoned.contains(id) => Ok(AdminState::Cordoned),
        None => Ok(AdminState::Disabled),
    }
}
