//! The families of stored values that the fleet folds (design 3). Keys, writes and events, their paths
//! and their encoding are generated from this one list.

/// Passes the families to a macro, one line each: its name, the type of its keys, the type of its
/// values. Another family is a line here, and a file of `store/families`.
macro_rules! with_families {
    ($macro:ident) => {
        $macro! {
            /// `servers/ID`
            Server(usher_model::id::ServerId) => usher_model::server::Server;
            /// `health/ID`
            Health(usher_model::id::ServerId) => usher_model::server::HealthRecord;
            /// `load/ID`
            Sample(usher_model::id::ServerId) => usher_model::server::ServerSample;
            /// `tenants/ID`
            Tenant(usher_model::id::TenantId) => usher_model::routing::TenantRoute;
            /// `meetings/TENANT/ID`
            Record(usher_model::meeting::MeetingKey) => usher_model::meeting::MeetingRecord;
            /// `zombies/TENANT/ID/SERVER`
            Zombie(usher_model::meeting::ZombieKey) => usher_model::meeting::Zombie;
            /// `voice/NUMBER`
            Voice(usher_model::voice::VoiceBridge) => $crate::core::voice::VoiceAssignment;
        }
    };
}

pub(crate) use with_families;
