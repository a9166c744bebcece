//! The identity of a delivery: its content. A callback that is received twice, or handed over twice
//! because an edge lost the first answer, is one delivery while it waits.

use sha2::{Digest, Sha256};
use usher_model::callback::CallbackState;

use super::{CallbackForm, ReceivedCallback};

/// The first part of every digest, so that the ids are different from all other digests.
const PURPOSE: &str = "usher delivery 1";
/// The length of an id in bytes.
const ID_LEN: usize = 16;

/// Returns the id of the delivery of a callback. The id depends on the subject of the callback, its
/// destination and its content. The tenant comes first. It is taken from the sealed address, which
/// no tenant can forge, so that the callback of one tenant never has the id of another tenant's
/// delivery.
///
/// For the end of a meeting only the sealed address counts, which is made for one create: a meeting
/// ends once, and text appended to the address makes no second end. Every other callback is
/// identified by its body. A recording that is reported again, because another format of it is
/// ready, has the same body and is one delivery until the application has received it, see
/// `Deliveries::accept`.
pub fn delivery_id(state: &CallbackState, received: &ReceivedCallback) -> String {
    let form: &[u8] = match received.form {
        CallbackForm::Get => b"get",
        CallbackForm::SignedForm => b"signed form",
        CallbackForm::BearerJson => b"bearer json",
    };
    let expires = state.expires_ms.to_be_bytes();
    let (url, body): (&[u8], &[u8]) =
        if state.kind.is_end() { (b"", b"") } else { (received.url.as_bytes(), &received.body) };
    let parts: [&[u8]; 11] = [
        PURPOSE.as_bytes(),
        state.meeting.tenant.as_str().as_bytes(),
        state.meeting.meeting.as_str().as_bytes(),
        state.server.as_str().as_bytes(),
        state.kind.name().as_bytes(),
        state.parameter.as_deref().unwrap_or_default().as_bytes(),
        state.url.as_deref().unwrap_or_default().as_bytes(),
        &expires,
        form,
        url,
        body,
    ];
    let mut digest = Sha256::new();
    for part in parts {
        // The length of each part is hashed too, so that no two lists of parts give the same text.
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    digest.finalize().iter().take(ID_LEN).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use usher_model::{
        callback::CallbackKind,
        id::{MeetingId, ServerId, TenantId},
        meeting::MeetingKey,
    };

    use super::*;

    fn callback(
        tenant: &str,
        meeting: &str,
        kind: CallbackKind,
        url: &str,
        said: &str,
    ) -> (CallbackState, ReceivedCallback) {
        let tenant = TenantId::parse(tenant).expect("is an id");
        let state = CallbackState {
            meeting: MeetingKey::new(tenant, MeetingId::parse(meeting).expect("is an id")),
            server: ServerId::parse("bbb1").expect("is an id"),
            kind,
            parameter: None,
            url: Some(url.to_owned()),
            expires_ms: 7,
        };
        let form = if kind.is_end() { CallbackForm::Get } else { CallbackForm::SignedForm };
        (state, ReceivedCallback { form, url: url.to_owned(), body: said.into() })
    }

    fn id((state, received): &(CallbackState, ReceivedCallback)) -> String {
        delivery_id(state, received)
    }

    #[test]
    fn the_end_of_a_meeting_is_one_delivery_with_any_text_appended_to_its_address() {
        let end = callback("school", "room", CallbackKind::EndedMeta, "https://app.test/", "");
        let (state, received) = end.clone();
        let again =
            ReceivedCallback { url: format!("{}?recordingmarks=true&n=1", received.url), ..received.clone() };
        assert_eq!(id(&end), delivery_id(&state, &again));
        let next = CallbackState { expires_ms: 8, ..state.clone() };
        assert_ne!(id(&end), delivery_id(&next, &received), "of the next meeting of that id");
        let other = CallbackState { parameter: Some("meta_endcallbackurl".into()), ..state };
        assert_ne!(id(&end), delivery_id(&other, &received), "another parameter asked for it");
    }

    proptest! {
        /// The same content is one delivery, and any other content another.
        #[test]
        fn deliveries_are_one_where_their_content_is(
            tenants in [0..3_usize, 0..3], meetings in ["[ab]{1,2}", "[ab]{1,2}"],
            urls in ["[ab]{0,2}", "[ab]{0,2}"], said in ["[ab]{0,2}", "[ab]{0,2}"], kinds in [0..5_usize, 0..5],
        ) {
            let one = |at: usize| {
                let tenant = ["a", "b", "ab"][tenants[at]];
                let url = format!("https://app.test/{}", urls[at]);
                callback(tenant, &meetings[at], CallbackKind::ALL[kinds[at]], &url, &said[at])
            };
            let (first, second) = (one(0), one(1));
            let says = |callback: &(CallbackState, ReceivedCallback)| {
                let (state, received) = callback.clone();
                (state.meeting, state.kind, state.url, (!state.kind.is_end()).then_some(received.body))
            };
            prop_assert_eq!(id(&first) == id(&second), says(&first) == says(&second));
            prop_assert_eq!(id(&first).len(), 32);
            if tenants[0] != tenants[1] {
                prop_assert_ne!(id(&first), id(&second));
            }
        }
    }
}
