//! Plans the changes that make the fleet match a list (S10). A plan is plain data (style P2). A second plan, made
//! after the first was carried out, is empty.

use std::collections::BTreeMap;

use usher_bbb::secret::Secret;
use usher_model::{id::ServerId, server::AdminState};

use super::server_list::{ServerSpec, same_weight};

/// A server of the fleet in its current state.
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentServer {
    /// Id of the server.
    pub id: ServerId,
    /// Base URL of its API.
    pub url: String,
    /// Shared secret of the server.
    pub secret: Secret,
    /// Share of meetings relative to other servers.
    pub weight: f64,
    /// Tags of the server, sorted.
    pub tags: Vec<String>,
    /// Admin state of the server.
    pub admin: AdminState,
    /// Number of records on the server.
    pub meetings: u32,
    /// Number of users in the last poll of the server.
    pub users: u32,
}

impl CurrentServer {
    /// Returns the entry of this server in a list.
    pub fn spec(&self) -> ServerSpec {
        ServerSpec {
            id: self.id.clone(),
            url: self.url.clone(),
            secret: self.secret.clone(),
            enabled: self.admin == AdminState::Enabled,
            weight: self.weight,
            tags: self.tags.clone(),
        }
    }
}

/// The treatment of servers that the list does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// They stay as they are.
    Keep,
    /// Empty servers are removed; others are cordoned, and a later run removes them when they are empty.
    Cordon,
    /// They are removed; the ids of their meetings are freed at once.
    Force,
}

/// One change of the fleet.
#[derive(Debug, Clone, PartialEq)]
pub enum FleetChange {
    /// Adds a server that the fleet does not have.
    Create(ServerSpec),
    /// Changes the fields that differ from the list.
    Update(ServerUpdate),
    /// Allows a server to take new meetings.
    Enable(ServerId),
    /// Stops new meetings on a server, which becomes disabled when empty.
    Cordon(ServerId),
    /// Disables a server and frees the ids of its meetings.
    Panic(ServerId),
    /// Removes a server from the fleet.
    Remove(ServerId),
}

/// The new values of a server; a field without a value stays as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerUpdate {
    /// Id of the server.
    pub id: ServerId,
    /// New base URL of its API.
    pub url: Option<String>,
    /// New shared secret of the server.
    pub secret: Option<Secret>,
    /// New weight of the server.
    pub weight: Option<f64>,
    /// New tags of the server.
    pub tags: Option<Vec<String>>,
}

impl ServerUpdate {
    /// Returns the names of the differing fields, as in the field mask of the API.
    pub fn fields(&self) -> Vec<&'static str> {
        let differs = [
            ("url", self.url.is_some()),
            ("secret", self.secret.is_some()),
            ("weight", self.weight.is_some()),
            ("tags", self.tags.is_some()),
        ];
        differs.into_iter().filter_map(|(name, differs)| differs.then_some(name)).collect()
    }
}

impl FleetChange {
    /// Returns the word for the change in the output.
    pub fn action(&self) -> &'static str {
        match self {
            Self::Create(_) => "create",
            Self::Update(_) => "update",
            Self::Enable(_) => "enable",
            Self::Cordon(_) => "cordon",
            Self::Panic(_) => "panic",
            Self::Remove(_) => "remove",
        }
    }

    /// Returns the id of the server that the change concerns.
    pub fn server(&self) -> &ServerId {
        match self {
            Self::Create(spec) => &spec.id,
            Self::Update(update) => &update.id,
            Self::Enable(id) | Self::Cordon(id) | Self::Panic(id) | Self::Remove(id) => id,
        }
    }

    /// Tells whether the change takes a server out of use.
    pub fn takes_out_of_use(&self) -> bool {
        matches!(self, Self::Cordon(_) | Self::Panic(_) | Self::Remove(_))
    }

    /// Tells whether only an operator can undo the change.
    pub fn is_destructive(&self) -> bool {
        matches!(self, Self::Panic(_) | Self::Remove(_))
    }
}

/// Returns the changes that turn the servers of the fleet into the wanted ones.
pub fn plan(current: &[CurrentServer], wanted: &[ServerSpec], mode: SyncMode) -> Vec<FleetChange> {
    let current: BTreeMap<&ServerId, &CurrentServer> =
        current.iter().map(|server| (&server.id, server)).collect();
    let wanted: BTreeMap<&ServerId, &ServerSpec> = wanted.iter().map(|spec| (&spec.id, spec)).collect();
    let mut changes = Vec::new();
    for (id, spec) in &wanted {
        match current.get(id) {
            None => changes.push(FleetChange::Create((*spec).clone())),
            Some(server) => changes.extend(adjust(server, spec)),
        }
    }
    for (id, server) in current.into_iter().filter(|(id, _)| !wanted.contains_key(id)) {
        match mode {
            SyncMode::Cordon | SyncMode::Force if server.meetings == 0 => {
                changes.push(FleetChange::Remove(id.clone()));
            }
            SyncMode::Cordon if server.admin == AdminState::Enabled => {
                changes.push(FleetChange::Cordon(id.clone()));
            }
            SyncMode::Keep | SyncMode::Cordon => {}
            SyncMode::Force => {
                changes.extend([FleetChange::Panic(id.clone()), FleetChange::Remove(id.clone())]);
            }
        }
    }
    changes
}

fn adjust(server: &CurrentServer, spec: &ServerSpec) -> Vec<FleetChange> {
    let update = ServerUpdate {
        id: spec.id.clone(),
        url: (server.url != spec.url).then(|| spec.url.clone()),
        secret: (server.secret != spec.secret).then(|| spec.secret.clone()),
        weight: (!same_weight(server.weight, spec.weight)).then_some(spec.weight),
        tags: (server.tags != spec.tags).then(|| spec.tags.clone()),
    };
    let mut changes = Vec::new();
    if !update.fields().is_empty() {
        changes.push(FleetChange::Update(update));
    }
    match (spec.enabled, server.admin) {
        (true, AdminState::Cordoned | AdminState::Disabled) => {
            changes.push(FleetChange::Enable(spec.id.clone()));
        }
        // Cordoned, not disabled, as in Scalelite: a list that switches a server off never ends a meeting (S5).
        (false, AdminState::Enabled) => changes.push(FleetChange::Cordon(spec.id.clone())),
        _ => {}
    }
    changes
}

#[cfg(test)]
mod tests;
