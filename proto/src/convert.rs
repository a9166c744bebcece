//! Conversions from generated types to domain types, which can fail, and back, which cannot.

mod tenant;

use super::v1;
use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::{IdError, InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
    revision::Revision,
    routing::{MeetingRoute, RouteState, RoutingDelta, ServerRoute, TenantRoute},
    server::{AdminState, Health},
    tenant::TenantPolicy,
    voice::VoiceBridge,
};

/// The reason why a message cannot become a domain value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    /// A required field is not set.
    #[error("field `{0}` is missing")]
    Missing(&'static str),
    /// A field holds a value outside its enumeration.
    #[error("field `{0}` holds an unknown value")]
    UnknownValue(&'static str),
    /// An identifier is malformed.
    #[error(transparent)]
    Id(#[from] IdError),
}

impl From<Revision> for v1::Revision {
    fn from(revision: Revision) -> Self {
        Self { epoch: revision.epoch, seq: revision.seq }
    }
}

impl From<v1::Revision> for Revision {
    fn from(revision: v1::Revision) -> Self {
        Self { epoch: revision.epoch, seq: revision.seq }
    }
}

impl From<&MeetingKey> for v1::MeetingKey {
    fn from(key: &MeetingKey) -> Self {
        Self { tenant: key.tenant.to_string(), meeting_id: key.meeting.to_string() }
    }
}

impl TryFrom<v1::MeetingKey> for MeetingKey {
    type Error = ConvertError;
    fn try_from(key: v1::MeetingKey) -> Result<Self, ConvertError> {
        Ok(Self { tenant: TenantId::parse(&key.tenant)?, meeting: MeetingId::parse(&key.meeting_id)? })
    }
}

impl From<AdminState> for v1::AdminState {
    fn from(state: AdminState) -> Self {
        match state {
            AdminState::Enabled => Self::Enabled,
            AdminState::Cordoned => Self::Cordoned,
            AdminState::Disabled => Self::Disabled,
        }
    }
}

impl TryFrom<v1::AdminState> for AdminState {
    type Error = ConvertError;
    fn try_from(state: v1::AdminState) -> Result<Self, ConvertError> {
        match state {
            v1::AdminState::Enabled => Ok(Self::Enabled),
            v1::AdminState::Cordoned => Ok(Self::Cordoned),
            v1::AdminState::Disabled => Ok(Self::Disabled),
            v1::AdminState::Unspecified => Err(ConvertError::UnknownValue("admin_state")),
        }
    }
}

impl From<Health> for v1::Health {
    fn from(health: Health) -> Self {
        match health {
            Health::Online => Self::Online,
            Health::Unhealthy => Self::Unhealthy,
            Health::Offline => Self::Offline,
        }
    }
}

impl TryFrom<v1::Health> for Health {
    type Error = ConvertError;
    fn try_from(health: v1::Health) -> Result<Self, ConvertError> {
        match health {
            v1::Health::Online => Ok(Self::Online),
            v1::Health::Unhealthy => Ok(Self::Unhealthy),
            v1::Health::Offline => Ok(Self::Offline),
            v1::Health::Unspecified => Err(ConvertError::UnknownValue("health")),
        }
    }
}

impl From<ChecksumAlgorithm> for v1::ChecksumAlgorithm {
    fn from(algorithm: ChecksumAlgorithm) -> Self {
        match algorithm {
            ChecksumAlgorithm::Sha1 => Self::Sha1,
            ChecksumAlgorithm::Sha256 => Self::Sha256,
            ChecksumAlgorithm::Sha384 => Self::Sha384,
            ChecksumAlgorithm::Sha512 => Self::Sha512,
        }
    }
}

impl From<v1::ChecksumAlgorithm> for ChecksumAlgorithm {
    fn from(algorithm: v1::ChecksumAlgorithm) -> Self {
        match algorithm {
            v1::ChecksumAlgorithm::Sha1 => Self::Sha1,
            v1::ChecksumAlgorithm::Unspecified | v1::ChecksumAlgorithm::Sha256 => Self::Sha256,
            v1::ChecksumAlgorithm::Sha384 => Self::Sha384,
            v1::ChecksumAlgorithm::Sha512 => Self::Sha512,
        }
    }
}

impl From<&ServerRoute> for v1::ServerRoute {
    fn from(route: &ServerRoute) -> Self {
        Self {
            id: route.id.to_string(),
            url: route.url.clone(),
            secret: route.secret.expose().to_owned(),
            admin_state: v1::AdminState::from(route.admin).into(),
            health: v1::Health::from(route.health).into(),
            checksum_algorithm: v1::ChecksumAlgorithm::from(route.algorithm).into(),
        }
    }
}

impl TryFrom<v1::ServerRoute> for ServerRoute {
    type Error = ConvertError;
    fn try_from(route: v1::ServerRoute) -> Result<Self, ConvertError> {
        let (admin, health, algorithm) = (route.admin_state(), route.health(), route.checksum_algorithm());
        Ok(Self {
            id: ServerId::parse(&route.id)?,
            url: route.url,
            secret: Secret::new(&route.secret),
            admin: admin.try_into()?,
            health: health.try_into()?,
            algorithm: algorithm.into(),
        })
    }
}

impl From<&TenantRoute> for v1::TenantRoute {
    fn from(route: &TenantRoute) -> Self {
        Self {
            id: route.id.to_string(),
            secrets: route.secrets.iter().map(|secret| secret.expose().to_owned()).collect(),
            hosts: route.hosts.clone(),
            enabled: route.enabled,
            policy: (route.policy != TenantPolicy::default()).then(|| (&route.policy).into()),
            users: route.users,
        }
    }
}

impl TryFrom<v1::TenantRoute> for TenantRoute {
    type Error = ConvertError;
    fn try_from(route: v1::TenantRoute) -> Result<Self, ConvertError> {
        Ok(Self {
            id: TenantId::parse(&route.id)?,
            secrets: route.secrets.iter().map(|secret| Secret::new(secret)).collect(),
            hosts: route.hosts,
            enabled: route.enabled,
            policy: route.policy.map(Into::into).unwrap_or_default(),
            users: route.users,
            created_by: None,
        })
    }
}

impl From<&MeetingRoute> for v1::MeetingRoute {
    fn from(route: &MeetingRoute) -> Self {
        let (state, internal_id) = match &route.state {
            RouteState::Pending => (v1::RecordState::Pending, String::new()),
            RouteState::Active(internal_id) => (v1::RecordState::Active, internal_id.to_string()),
        };
        Self {
            key: Some((&route.key).into()),
            server_id: route.server.to_string(),
            state: state.into(),
            internal_id,
            voice_bridge: route.voice_bridge.map_or(0, VoiceBridge::number),
        }
    }
}

impl TryFrom<v1::MeetingRoute> for MeetingRoute {
    type Error = ConvertError;
    fn try_from(route: v1::MeetingRoute) -> Result<Self, ConvertError> {
        let state = match route.state() {
            v1::RecordState::Pending => RouteState::Pending,
            v1::RecordState::Active => RouteState::Active(InternalMeetingId::parse(&route.internal_id)?),
            v1::RecordState::Ending | v1::RecordState::Unspecified => {
                return Err(ConvertError::UnknownValue("state"));
            }
        };
        Ok(Self {
            key: route.key.ok_or(ConvertError::Missing("key"))?.try_into()?,
            server: ServerId::parse(&route.server_id)?,
            state,
            voice_bridge: VoiceBridge::new(route.voice_bridge),
        })
    }
}

impl From<&RoutingDelta> for v1::RoutesDelta {
    fn from(delta: &RoutingDelta) -> Self {
        fn gone<K: ToString, V>(map: &std::collections::BTreeMap<K, Option<V>>) -> Vec<String> {
            map.iter().filter(|(_, value)| value.is_none()).map(|(key, _)| key.to_string()).collect()
        }
        Self {
            base: Some(delta.base.into()),
            revision: Some(delta.revision.into()),
            set_servers: delta.servers.values().flatten().map(Into::into).collect(),
            removed_servers: gone(&delta.servers),
            set_tenants: delta.tenants.values().flatten().map(Into::into).collect(),
            removed_tenants: gone(&delta.tenants),
            set_meetings: delta.meetings.values().flatten().map(Into::into).collect(),
            removed_meetings: delta
                .meetings
                .iter()
                .filter(|(_, value)| value.is_none())
                .map(|(key, _)| key.into())
                .collect(),
        }
    }
}

impl TryFrom<v1::RoutesDelta> for RoutingDelta {
    type Error = ConvertError;
    fn try_from(wire: v1::RoutesDelta) -> Result<Self, ConvertError> {
        let base = wire.base.ok_or(ConvertError::Missing("base"))?.into();
        let revision = wire.revision.ok_or(ConvertError::Missing("revision"))?.into();
        let mut delta = Self::new(base, revision);
        for server in wire.set_servers {
            let server = ServerRoute::try_from(server)?;
            delta.servers.insert(server.id.clone(), Some(server));
        }
        for id in wire.removed_servers {
            delta.servers.insert(ServerId::parse(&id)?, None);
        }
        for tenant in wire.set_tenants {
            let tenant = TenantRoute::try_from(tenant)?;
            delta.tenants.insert(tenant.id.clone(), Some(tenant));
        }
        for id in wire.removed_tenants {
            delta.tenants.insert(TenantId::parse(&id)?, None);
        }
        for meeting in wire.set_meetings {
            let meeting = MeetingRoute::try_from(meeting)?;
            delta.meetings.insert(meeting.key.clone(), Some(meeting));
        }
        for key in wire.removed_meetings {
            delta.meetings.insert(key.try_into()?, None);
        }
        Ok(delta)
    }
}
