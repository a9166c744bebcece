//! One guarded transaction in terms of the domain. A plan leaves no choice to its executor. A plan that
//! is committed twice, late or beside a newer one does no harm, because its guards fail (style P2).

use usher_model::{routing::TenantRoute, server::Server};

use crate::core::families::with_families;

/// A value with the revisions of the store that created and last changed it.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored<T> {
    /// The value as the store holds it.
    pub value: T,
    /// Revision that created the key.
    pub created: u64,
    /// Revision that last changed it.
    pub modified: u64,
}

macro_rules! plan_types {
    ($($(#[$doc:meta])* $family:ident($key:ty) => $value:ty;)*) => {
        /// The key of one stored value.
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum FleetKey {
            $($(#[$doc])* $family($key),)*
        }

        /// One change of one key.
        #[derive(Debug, Clone, PartialEq)]
        pub enum PlanWrite {
            $($(#[$doc])* $family($key, $value),)*
            /// Removes a key.
            Delete(FleetKey),
        }

        /// One change of the store, as the fleet folds it; `None` when the key was deleted.
        #[derive(Debug, Clone, PartialEq)]
        pub enum FleetEvent {
            $($(#[$doc])* $family($key, Option<Stored<$value>>),)*
        }

        impl PlanWrite {
            /// Returns the key that this write sets or removes.
            pub fn key(&self) -> FleetKey {
                match self {
                    $(Self::$family(key, _) => FleetKey::$family(key.to_owned()),)*
                    Self::Delete(key) => key.clone(),
                }
            }
        }

        impl FleetEvent {
            /// Returns the changed key.
            pub fn key(&self) -> FleetKey {
                match self {
                    $(Self::$family(key, _) => FleetKey::$family(key.to_owned()),)*
                }
            }

            /// Returns the revision that last changed the value; `None` if the key was deleted.
            pub fn modified(&self) -> Option<u64> {
                match self {
                    $(Self::$family(_, stored) => stored.as_ref().map(|stored| stored.modified),)*
                }
            }

            /// Returns the event that deletes `key`.
            pub fn deleted(key: FleetKey) -> Self {
                match key {
                    $(FleetKey::$family(key) => Self::$family(key, None),)*
                }
            }
        }
    };
}

with_families!(plan_types);

impl PlanWrite {
    /// Returns the write of a server, under its own name.
    pub fn server(server: Server) -> Self {
        Self::Server(server.id.clone(), server)
    }

    /// Returns the write of a tenant, under its own name.
    pub fn tenant(tenant: TenantRoute) -> Self {
        Self::Tenant(tenant.id.clone(), tenant)
    }
}

/// A condition of the whole plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PlanGuard {
    /// The key must not exist.
    Absent(FleetKey),
    /// The key must exist, and its last change must be the one of this revision.
    Unchanged(FleetKey, u64),
}

/// A guarded transaction: all writes are applied if every guard holds, else none.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Plan {
    /// The conditions, all of which must hold.
    pub guards: Vec<PlanGuard>,
    /// The changes, at most one for each key.
    pub writes: Vec<PlanWrite>,
}

impl Plan {
    /// Returns whether the plan has no write.
    pub fn is_empty(&self) -> bool {
        self.writes.is_empty()
    }

    /// Guards a key by its observed state: unchanged if it existed, absent if it did not. A key that has
    /// a guard keeps it, because the first observation is the one of the decision.
    pub fn guard_seen<T>(&mut self, key: FleetKey, seen: Option<&Stored<T>>) {
        let stands = |guard: &PlanGuard| match guard {
            PlanGuard::Absent(guarded) | PlanGuard::Unchanged(guarded, _) => *guarded == key,
        };
        if !self.guards.iter().any(stands) {
            self.guards.push(match seen {
                Some(stored) => PlanGuard::Unchanged(key, stored.modified),
                None => PlanGuard::Absent(key),
            });
        }
    }
}
