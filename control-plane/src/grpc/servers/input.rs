//! Conversion of operators' messages into servers: every field is checked, and every fault names
//! the remedy.

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::ServerId,
    server::{AdminState, Server, base_url, place_of},
};
use usher_proto::v1;

use crate::grpc::status::{RequestViolation, RpcRefusal};

/// The fields that an update may name.
const FIELDS: [&str; 6] = ["url", "secret", "weight", "tags", "checksum_algorithm", "admin_state"];
/// Largest number of tags of one server, and the length of the longest in bytes.
const TAGS: (usize, usize) = (32, 64);
/// Largest weight; no real server is a thousand times as strong as another.
const MAX_WEIGHT: f64 = 1000.0;

/// Reads a new server.
///
/// # Errors
/// Names every invalid field.
pub(super) fn new_server(wire: v1::Server, id: &str, now_ms: i64) -> Result<Server, RpcRefusal> {
    let mut faults = Vec::new();
    let url = or_fault(url(&wire.url), "server.url", &mut faults);
    let secret = or_fault(secret(&wire.secret), "server.secret", &mut faults);
    let weight = if wire.weight == 0.0 { 1.0 } else { wire.weight };
    let weight = or_fault(self::weight(weight), "server.weight", &mut faults);
    let admin = match wire.admin_state() {
        v1::AdminState::Unspecified => Some(AdminState::Disabled),
        state => AdminState::try_from(state).ok(),
    };
    let algorithm = ChecksumAlgorithm::from(wire.checksum_algorithm());
    let tags = or_fault(tags(wire.tags), "server.tags", &mut faults);
    let id = match (id, &url) {
        ("", Some(url)) => or_fault(id_of(url), "server_id", &mut faults),
        ("", None) => None,
        (id, _) => or_fault(ServerId::parse(id).map_err(|error| error.to_string()), "server_id", &mut faults),
    };
    match (id, url, secret, weight, tags, admin) {
        (Some(id), Some(url), Some(secret), Some(weight), Some(tags), Some(admin)) => Ok(Server {
            id,
            url,
            secret,
            weight,
            tags,
            admin,
            algorithm,
            created_at_ms: now_ms,
            former_of: None,
            created_by: None,
        }),
        _ => Err(RpcRefusal::Invalid(faults)),
    }
}

/// A checked update; fields that are `None` remain unchanged.
#[derive(Debug, Clone, Default)]
pub(super) struct MaskedServerUpdate {
    url: Option<String>,
    secret: Option<Secret>,
    weight: Option<f64>,
    tags: Option<Vec<String>>,
    algorithm: Option<ChecksumAlgorithm>,
    /// The admin state, which is changed like by enable, cordon and disable.
    pub(super) admin: Option<AdminState>,
}

impl MaskedServerUpdate {
    /// Reads an update. Without a mask, every field that is set is updated.
    ///
    /// # Errors
    /// Names every invalid field.
    pub(super) fn parse(wire: v1::Server, mask: &[String]) -> Result<Self, RpcRefusal> {
        let mut faults = Vec::new();
        for path in mask.iter().filter(|path| !FIELDS.contains(&path.as_str()) && *path != "*") {
            let problem = format!("`{path}` is not one of {}", FIELDS.join(", "));
            faults.push(RequestViolation::new("update_mask", problem));
        }
        let named = |field: &str, set: bool| match mask {
            [] => set,
            mask => mask.iter().any(|path| path == field || path == "*"),
        };
        let (algorithm, admin) = (wire.checksum_algorithm(), wire.admin_state());
        let mut update = Self::default();
        if named("url", !wire.url.is_empty()) {
            update.url = or_fault(url(&wire.url), "server.url", &mut faults);
        }
        if named("secret", !wire.secret.is_empty()) {
            update.secret = or_fault(secret(&wire.secret), "server.secret", &mut faults);
        }
        if named("weight", wire.weight != 0.0) {
            update.weight = or_fault(weight(wire.weight), "server.weight", &mut faults);
        }
        if named("tags", !wire.tags.is_empty()) {
            update.tags = or_fault(tags(wire.tags), "server.tags", &mut faults);
        }
        if named("checksum_algorithm", algorithm != v1::ChecksumAlgorithm::Unspecified) {
            update.algorithm = Some(algorithm.into());
        }
        if named("admin_state", admin != v1::AdminState::Unspecified) {
            let problem = "must be enabled, cordoned or disabled".to_owned();
            let admin = AdminState::try_from(admin).map_err(|_| problem);
            update.admin = or_fault(admin, "server.admin_state", &mut faults);
        }
        if faults.is_empty() { Ok(update) } else { Err(RpcRefusal::Invalid(faults)) }
    }

    /// Returns whether the update gives the server an address at another place.
    pub(super) fn moves(&self, server: &Server) -> bool {
        self.url.as_ref().is_some_and(|url| place_of(url) != place_of(&server.url))
    }

    /// Returns whether the update writes the server's address.
    pub(super) fn names_address(&self) -> bool {
        self.url.is_some()
    }

    /// Returns the server as it is after the update.
    pub(super) fn applied(&self, server: &Server) -> Server {
        Server { admin: self.admin.unwrap_or(server.admin), ..self.apply(server) }
    }

    /// Returns the server with all fields but its admin state updated.
    pub(super) fn apply(&self, server: &Server) -> Server {
        Server {
            url: self.url.clone().unwrap_or_else(|| server.url.clone()),
            secret: self.secret.clone().unwrap_or_else(|| server.secret.clone()),
            weight: self.weight.unwrap_or(server.weight),
            tags: self.tags.clone().unwrap_or_else(|| server.tags.clone()),
            algorithm: self.algorithm.unwrap_or(server.algorithm),
            ..server.clone()
        }
    }
}

fn or_fault<T>(value: Result<T, String>, field: &str, faults: &mut Vec<RequestViolation>) -> Option<T> {
    value.map_err(|problem| faults.push(RequestViolation::new(field, problem))).ok()
}

fn url(text: &str) -> Result<String, String> {
    base_url(text).map_err(|error| error.to_string())
}

fn secret(text: &str) -> Result<Secret, String> {
    match text.trim() {
        "" => Err("is missing; `bbb-conf --secret` on the server prints it".into()),
        text => Ok(Secret::new(text)),
    }
}

fn weight(weight: f64) -> Result<f64, String> {
    if weight.is_finite() && weight > 0.0 && weight <= MAX_WEIGHT {
        Ok(weight)
    } else {
        Err(format!("must be above 0 and at most {MAX_WEIGHT}; 1 is ordinary, 2 takes twice the load"))
    }
}

fn tags(mut tags: Vec<String>) -> Result<Vec<String>, String> {
    let well_formed = |tag: &String| {
        !tag.is_empty()
            && tag.len() <= TAGS.1
            && !tag.contains(|c: char| c == '!' || c == ',' || c.is_whitespace())
    };
    match tags.iter().find(|tag| !well_formed(tag)) {
        Some(tag) => Err(format!("`{tag}` is no tag: 1 to 64 characters without spaces, `!` and `,`")),
        None if tags.len() > TAGS.0 => Err(format!("holds more than {} tags", TAGS.0)),
        None => {
            tags.sort();
            tags.dedup();
            Ok(tags)
        }
    }
}

/// Derives an id from the host and port of a URL.
fn id_of(url: &str) -> Result<ServerId, String> {
    let url = url::Url::parse(url).map_err(|error| error.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).replace(':', "-");
    let id = url.port().map_or_else(|| host.clone(), |port| format!("{host}-{port}"));
    ServerId::parse(&id).map_err(|error| format!("{error}; give one"))
}

#[cfg(test)]
mod tests;
