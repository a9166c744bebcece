//! `zombies/TENANT/ID/SERVER`: instances that have to be ended.

use usher_model::{
    id::ServerId,
    meeting::{Zombie, ZombieKey, ZombieState},
};
use usher_proto::{store as pb, v1};

use super::{
    fields::{enumeration, optional_internal_id},
    meeting_path,
};
use crate::store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError};

impl KeyFamily for Zombie {
    const NAME: &'static str = "zombies";
    const KNOWN_FIELDS: u32 = 5;
    type Key = ZombieKey;
    type Message = pb::ZombieValue;

    fn path(key: &ZombieKey) -> String {
        format!("{}/{}", meeting_path::write(&key.meeting), key.server)
    }

    fn parse(parts: &[&str]) -> Result<ZombieKey, KeyPartError> {
        match parts {
            [tenant, id, server] => {
                Ok(ZombieKey { meeting: meeting_path::parse(tenant, id)?, server: ServerId::parse(server)? })
            }
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::ZombieValue {
        let state = match self.state {
            ZombieState::Waiting => v1::ZombieState::Waiting,
            ZombieState::Due => v1::ZombieState::Due,
            ZombieState::Ending => v1::ZombieState::Ending,
        };
        pb::ZombieValue {
            state: state as u32,
            internal_id: self.internal_id.as_ref().map(ToString::to_string).unwrap_or_default(),
            reason: self.reason.clone(),
            since_ms: self.since_ms,
            stood_ms: self.stood_ms,
        }
    }

    fn from_message(_: &ZombieKey, value: pb::ZombieValue) -> Result<Self, ValueError> {
        let state = match enumeration("state", value.state)? {
            v1::ZombieState::Waiting => ZombieState::Waiting,
            v1::ZombieState::Due => ZombieState::Due,
            v1::ZombieState::Ending => ZombieState::Ending,
            v1::ZombieState::Unspecified => return Err(ValueError::Field("state")),
        };
        Ok(Zombie {
            state,
            internal_id: optional_internal_id(&value.internal_id)?,
            reason: value.reason,
            since_ms: value.since_ms,
            stood_ms: value.stood_ms,
        })
    }
}
