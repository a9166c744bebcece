//! Stored values of deliveries and of the callback key: `deliveries/ID`, `callbacks/key`. The fleet
//! does not fold them, and `keys` does not parse them.

use std::time::Duration;

use bytes::Bytes;
use prost::Message;
use usher_bbb::secret::Secret;
use usher_model::{
    callback::CallbackKind,
    id::{MeetingId, ServerId, TenantId},
    meeting::MeetingKey,
};
use usher_proto::store as pb;

use crate::{
    notifications::rules::{
        delivery::{Delivery, DeliveryForm},
        ids::{DeliveryId, HookId},
    },
    store::codec::{ValueError, unknown_fields},
};

/// Prefix of the deliveries' keys.
pub const PREFIX: &str = "deliveries/";
/// Key of the callback key.
pub const KEY: &str = "callbacks/key";
/// Largest field number of a delivery that this version knows.
const KNOWN: u32 = 15;

/// Returns the key of a delivery.
pub fn path(id: &DeliveryId) -> String {
    format!("{PREFIX}{id}")
}

/// Returns the delivery that a key names.
pub fn id_of(path: &str) -> Option<DeliveryId> {
    DeliveryId::parse(path.strip_prefix(PREFIX)?).ok()
}

/// Encodes a delivery. Fields of `before` that only a newer version knows are kept.
pub fn encode(delivery: &Delivery, before: Option<&[u8]>) -> Bytes {
    let value = pb::DeliveryValue {
        tenant: delivery.meeting.tenant.to_string(),
        meeting_id: delivery.meeting.meeting.to_string(),
        server: delivery.server.to_string(),
        kind: number_of_kind(delivery.kind),
        form: number_of_form(delivery.form),
        url: delivery.url.clone(),
        body: delivery.body.clone(),
        accepted_at_ms: delivery.accepted_at_ms,
        attempts: delivery.attempts,
        waited_ms: u64::try_from(delivery.waited.as_millis()).unwrap_or(u64::MAX),
        last_error: delivery.last_error.clone(),
        retries_asked: delivery.retries_asked,
        hook: delivery.hook.as_ref().map(ToString::to_string).unwrap_or_default(),
        order_ms: delivery.order_ms,
        said_again: delivery.said_again,
    };
    let mut bytes = value.encode_to_vec();
    bytes.extend_from_slice(&before.map(|before| unknown_fields(before, KNOWN)).unwrap_or_default());
    bytes.into()
}

/// Reads a delivery.
///
/// # Errors
/// The bytes are not a delivery of this version.
pub fn decode(bytes: &Bytes) -> Result<Delivery, ValueError> {
    let value = pb::DeliveryValue::decode(bytes.clone())?;
    let id = |field: &'static str| move |source| ValueError::Id { field, source };
    Ok(Delivery {
        meeting: MeetingKey::new(
            TenantId::parse(&value.tenant).map_err(id("tenant"))?,
            MeetingId::parse(&value.meeting_id).map_err(id("meeting_id"))?,
        ),
        server: ServerId::parse(&value.server).map_err(id("server"))?,
        kind: kind_of_number(value.kind).ok_or(ValueError::Field("kind"))?,
        form: form_of_number(value.form).ok_or(ValueError::Field("form"))?,
        url: value.url,
        body: value.body,
        accepted_at_ms: value.accepted_at_ms,
        attempts: value.attempts,
        waited: Duration::from_millis(value.waited_ms),
        last_error: value.last_error,
        retries_asked: value.retries_asked,
        hook: match value.hook.as_str() {
            "" => None,
            id => Some(HookId::parse(id).map_err(|_| ValueError::Field("hook"))?),
        },
        order_ms: value.order_ms,
        said_again: value.said_again,
    })
}

/// Encodes the callback key.
pub fn encode_key(key: &Secret) -> Bytes {
    pb::CallbackKeyValue { key: key.expose().to_owned() }.encode_to_vec().into()
}

/// Reads the callback key.
///
/// # Errors
/// The bytes are not a key.
pub fn decode_key(bytes: &[u8]) -> Result<Secret, ValueError> {
    Ok(Secret::new(&pb::CallbackKeyValue::decode(bytes)?.key))
}

/// Returns the stored number of a kind, as in `usher.v1.CallbackKind`.
fn number_of_kind(kind: CallbackKind) -> u32 {
    match kind {
        CallbackKind::Ended => 1,
        CallbackKind::EndedMeta => 2,
        CallbackKind::RecordingReady => 3,
        CallbackKind::Analytics => 4,
        CallbackKind::Other => 5,
        CallbackKind::Webhook => 6,
    }
}

fn kind_of_number(number: u32) -> Option<CallbackKind> {
    CallbackKind::ALL.into_iter().find(|kind| number_of_kind(*kind) == number)
}

/// Numbers are those of `usher.v1.CallbackForm`.
fn number_of_form(form: DeliveryForm) -> u32 {
    match form {
        DeliveryForm::Get => 1,
        DeliveryForm::SignedForm => 2,
        DeliveryForm::BearerJson => 3,
        DeliveryForm::Webhook => 4,
    }
}

fn form_of_number(number: u32) -> Option<DeliveryForm> {
    [DeliveryForm::Get, DeliveryForm::SignedForm, DeliveryForm::BearerJson, DeliveryForm::Webhook]
        .into_iter()
        .find(|form| number_of_form(*form) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_reads_back_and_keeps_the_fields_of_a_newer_version() {
        let delivery = Delivery {
            meeting: MeetingKey::new(TenantId::default_tenant(), MeetingId::parse("東 1").expect("is an id")),
            server: ServerId::parse("bbb1").expect("is an id"),
            kind: CallbackKind::Analytics,
            form: DeliveryForm::BearerJson,
            url: "https://app.test/cb?x=1".into(),
            body: Bytes::from_static(b"{}"),
            accepted_at_ms: 5,
            attempts: 3,
            waited: Duration::from_millis(77),
            last_error: "HTTP 500".into(),
            retries_asked: 1,
            hook: HookId::parse("3f2b8c1e-1f5d-8f64-9d7a-0c2f6c0b5a11").ok(),
            order_ms: 9,
            said_again: 2,
        };
        let mut newer = encode(&delivery, None).to_vec();
        newer.extend_from_slice(&[0xa0, 0x06, 0x07]); // field 100, varint 7
        let newer = Bytes::from(newer);
        assert_eq!(decode(&newer), Ok(delivery.clone()));
        let again = encode(&Delivery { attempts: 4, ..delivery }, Some(&newer));
        assert!(again.ends_with(&[0xa0, 0x06, 0x07]));
        assert_eq!(decode(&again).map(|delivery| delivery.attempts), Ok(4));
        assert!(decode(&Bytes::from_static(b"\x08")).is_err());
    }
}
