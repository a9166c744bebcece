//! What must be done so that the fleet is as a list says (S10). A plan is plain data; made again after
//! it was carried out, it is empty.

use std::collections::BTreeMap;

use usher_bbb::secret::Secret;
use usher_model::{id::ServerId, server::AdminState};

use super::server_list::{ServerSpec, same_weight};

/// A server as it current.
#[derive(Debug, Clone, PartialEq)]
pub struct CurrentServer {
    /// Its name.
    pub id: ServerId,
    /// Base of its API.
    pub url: String,
    /// Its shared secret.
    pub secret: Secret,
    /// Capacity relative to others.
    pub weight: f64,
    /// Its tags, sorted.
    pub tags: Vec<String>,
    /// What operators decided.
    pub admin: AdminState,
    /// Records that live on it.
    pub meetings: u32,
    /// Users on it, as the last poll saw them.
    pub users: u32,
}

impl CurrentServer {
    /// Returns it as a list would name it.
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

/// What happens to servers the list does not name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncMode {
    /// Nothing.
    Keep,
    /// They are removed when empty, else cordoned; the next run removes them.
    Cordon,
    /// They are removed, their meetings freed at once.
    Force,
}

/// One step.
#[derive(Debug, Clone, PartialEq)]
pub enum FleetChange {
    /// Add a server.
    Create(ServerSpec),
    /// Change what differs.
    Update(ServerUpdate),
    /// Let it take meetings.
    Enable(ServerId),
    /// No new meetings; it becomes disabled when empty.
    Cordon(ServerId),
    /// Disable it and free the ids of its meetings.
    Panic(ServerId),
    /// Remove it.
    Remove(ServerId),
}

/// What differs; none stays.
#[derive(Debug, Clone, PartialEq)]
pub struct ServerUpdate {
    /// Which server.
    pub id: ServerId,
    /// Its new URL.
    pub url: Option<String>,
    /// Its new secret.
    pub secret: Option<Secret>,
    /// Its new weight.
    pub weight: Option<f64>,
    /// Its new tags.
    pub tags: Option<Vec<String>>,
}

impl ServerUpdate {
    /// Returns the names of what differs, as in the API's field mask.
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
    /// Returns the word for it.
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

    /// Returns the server it is about.
    pub fn server(&self) -> &ServerId {
        match self {
            Self::Create(spec) => &spec.id,
            Self::Update(update) => &update.id,
            Self::Enable(id) | Self::Cordon(id) | Self::Panic(id) | Self::Remove(id) => id,
        }
    }

    /// Returns whether it takes a server out of use.
    pub fn takes_out_of_use(&self) -> bool {
        matches!(self, Self::Cordon(_) | Self::Panic(_) | Self::Remove(_))
    }

    /// Returns whether it takes something away that only a person can give back.
    pub fn is_destructive(&self) -> bool {
        matches!(self, Self::Panic(_) | Self::Remove(_))
    }
}

/// Plans the way from the servers that stand to those that are wanted.
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
                changes.push(FleetChange::Remove(id.clone()))
            }
            SyncMode::Cordon if server.admin == AdminState::Enabled => {
                changes.push(FleetChange::Cordon(id.clone()))
            }
            SyncMode::Keep | SyncMode::Cordon => {}
            SyncMode::Force => {
                changes.extend([FleetChange::Panic(id.clone()), FleetChange::Remove(id.clone())])
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
            changes.push(FleetChange::Enable(spec.id.clone()))
        }
        // As in Scalelite: taking a server out of use never ends a meeting.
        (false, AdminState::Enabled) => changes.push(FleetChange::Cordon(spec.id.clone())),
        _ => {}
    }
    changes
}

#[cfg(test)]
mod tests;
