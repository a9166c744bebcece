//! `servers/ID`: the servers.

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_model::{
    id::ServerId,
    request_mark::RequestMark,
    server::{AdminState, Server},
};
use usher_proto::{store as pb, v1};

use super::fields::enumeration;
use crate::store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError};

impl KeyFamily for Server {
    const NAME: &'static str = "servers";
    const KNOWN_FIELDS: u32 = 9;
    type Key = ServerId;
    type Message = pb::ServerValue;

    fn path(id: &ServerId) -> String {
        id.to_string()
    }

    fn parse(parts: &[&str]) -> Result<ServerId, KeyPartError> {
        match parts {
            [id] => Ok(ServerId::parse(id)?),
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::ServerValue {
        pb::ServerValue {
            url: self.url.clone(),
            secret: self.secret.expose().to_owned(),
            weight: self.weight,
            tags: self.tags.clone(),
            admin_state: v1::AdminState::from(self.admin) as u32,
            checksum_algorithm: v1::ChecksumAlgorithm::from(self.algorithm) as u32,
            created_at_ms: self.created_at_ms,
            former_of: self.former_of.as_ref().map(ToString::to_string).unwrap_or_default(),
            created_by: RequestMark::to_stored(self.created_by),
        }
    }

    fn from_message(id: &ServerId, value: pb::ServerValue) -> Result<Self, ValueError> {
        if !(value.weight.is_finite() && value.weight > 0.0) {
            return Err(ValueError::Field("weight"));
        }
        let admin: v1::AdminState = enumeration("admin_state", value.admin_state)?;
        let algorithm: v1::ChecksumAlgorithm = enumeration("checksum_algorithm", value.checksum_algorithm)?;
        let former_of = (!value.former_of.is_empty()).then(|| ServerId::parse(&value.former_of)).transpose();
        Ok(Server {
            id: id.clone(),
            url: value.url,
            secret: Secret::new(&value.secret),
            weight: value.weight,
            tags: value.tags,
            admin: AdminState::try_from(admin).map_err(|_| ValueError::Field("admin_state"))?,
            algorithm: ChecksumAlgorithm::from(algorithm),
            created_at_ms: value.created_at_ms,
            former_of: former_of.map_err(|_| ValueError::Field("former_of"))?,
            created_by: RequestMark::from_stored(&value.created_by),
        })
    }
}
