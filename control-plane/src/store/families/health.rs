//! `health/ID`: the health counters of the servers.

use usher_model::{id::ServerId, server::HealthRecord};
use usher_proto::store as pb;

use crate::store::{key_error::KeyPartError, key_family::KeyFamily, value_error::ValueError};

impl KeyFamily for HealthRecord {
    const NAME: &'static str = "health";
    const KNOWN_FIELDS: u32 = 7;
    type Key = ServerId;
    type Message = pb::HealthValue;

    fn path(id: &ServerId) -> String {
        id.to_string()
    }

    fn parse(parts: &[&str]) -> Result<ServerId, KeyPartError> {
        match parts {
            [id] => Ok(ServerId::parse(id)?),
            _ => Err(KeyPartError::Shape),
        }
    }

    fn to_message(&self) -> pb::HealthValue {
        pb::HealthValue {
            recover: self.recover,
            error: self.error,
            since_ms: self.since_ms,
            reason: self.reason.clone(),
            flapped_at_ms: self.flapped_at_ms.clone(),
            stood_ms: self.stood_ms,
            calls_failed_at_ms: self.calls_failed_at_ms.clone(),
        }
    }

    fn from_message(_: &ServerId, value: pb::HealthValue) -> Result<Self, ValueError> {
        Ok(HealthRecord {
            recover: value.recover,
            error: value.error,
            since_ms: value.since_ms,
            reason: value.reason,
            flapped_at_ms: value.flapped_at_ms,
            stood_ms: value.stood_ms,
            calls_failed_at_ms: value.calls_failed_at_ms,
        })
    }
}
