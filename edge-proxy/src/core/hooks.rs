//! Webhooks: reads the calls of applications, and verifies that an event comes from the server that
//! it names (ADR 13).

use std::borrow::Cow;

use usher_bbb::{
    call::HookAction,
    query::{ParameterList, RawQuery},
    reply::Refusal,
    secret::Secret,
};
use usher_model::{
    callback::webhook::{WebhookPost, WebhookProof, verify},
    id::MeetingId,
};

/// A call about webhooks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HookCall {
    /// Registers a hook.
    Create {
        /// The address that receives the events.
        url: String,
        /// The meeting that the hook is for; `None` for all meetings.
        meeting: Option<MeetingId>,
        /// The events that the hook is for, in lower case; empty for all events.
        events: Vec<String>,
        /// Whether events are delivered as they are on the servers' bus.
        raw: bool,
    },
    /// Lists hooks: all, or those that receive events of one meeting.
    List(Option<String>),
    /// Removes the hook with this id.
    Destroy(String),
}

/// Reads a call about webhooks, as bbb-webhooks does.
///
/// # Errors
/// The refusal that the caller gets.
pub fn ask(action: HookAction, query: &ParameterList<'_>) -> Result<HookCall, Refusal> {
    if ["callbackURL", "meetingID", "eventID", "getRaw", "hookID"].iter().any(|name| query.is_repeated(name))
    {
        return Err(Refusal::HOOK_PARAM_REPEATED);
    }
    let given = |name: &str| query.first(name).filter(|value| !value.trim().is_empty());
    match action {
        HookAction::Create => {
            let url = given("callbackURL").ok_or(Refusal::MISSING_CALLBACK_URL)?;
            let meeting = given("meetingID").map(|id| MeetingId::parse(&id)).transpose();
            let events = given("eventID").unwrap_or(Cow::Borrowed(""));
            let events = events.split(',').map(|event| event.trim().to_ascii_lowercase());
            let raw = match given("getRaw").map(|raw| raw.trim().to_ascii_lowercase()).as_deref() {
                None | Some("false") => false,
                Some("true") => true,
                Some(_) => return Err(Refusal::HOOK_NOT_CREATED),
            };
            Ok(HookCall::Create {
                url: url.trim().to_owned(),
                meeting: meeting.map_err(|_| Refusal::MEETING_ID_LENGTH)?,
                events: events.filter(|event| !event.is_empty()).collect(),
                raw,
            })
        }
        HookAction::Destroy => {
            let id = query.first("hookID").ok_or(Refusal::MISSING_HOOK_ID)?;
            Ok(HookCall::Destroy(id.trim().to_owned()))
        }
        HookAction::List => Ok(HookCall::List(query.first("meetingID").map(Cow::into_owned))),
    }
}

/// Reads a form that a server posted to `url`, the address as it was registered. Returns `None` if
/// the form is not signed with the server's `secret`.
pub fn posted(
    url: &str,
    form: &str,
    query: &str,
    bearer: Option<&str>,
    secret: &Secret,
) -> Option<WebhookPost> {
    let posted = WebhookPost::read(form)?;
    let checksum = RawQuery::new(query).first("checksum");
    let proof = checksum.as_deref().map(WebhookProof::Checksum).or(bearer.map(WebhookProof::Bearer))?;
    verify(url, form, &posted, proof, secret).then_some(posted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(action: HookAction, query: &str) -> Result<HookCall, Refusal> {
        super::ask(action, &ParameterList::parse(query, 10).unwrap())
    }

    #[test]
    fn calls_are_read_as_bbb_webhooks_reads_them() {
        let create = |query: &str| ask(HookAction::Create, query);
        let full = create(
            "callbackURL=https%3A%2F%2Fapp.example.org%2Fcb%3Fa%3D1%26b%3D2&meetingID=room-42\
             &eventID=Meeting-Ended,user-joined&getRaw=TRUE",
        );
        let expected = HookCall::Create {
            url: "https://app.example.org/cb?a=1&b=2".into(),
            meeting: MeetingId::parse("room-42").ok(),
            events: vec!["meeting-ended".into(), "user-joined".into()],
            raw: true,
        };
        assert_eq!(full, Ok(expected));
        let least = create("callbackURL=https://app.test/&meetingID=&eventID=&getRaw=");
        let expected = HookCall::Create {
            url: "https://app.test/".into(),
            meeting: None,
            events: Vec::new(),
            raw: false,
        };
        assert_eq!(least, Ok(expected));
        assert_eq!(ask(HookAction::List, ""), Ok(HookCall::List(None)));
        assert_eq!(ask(HookAction::List, "meetingID=a%20b"), Ok(HookCall::List(Some("a b".into()))));
        assert_eq!(ask(HookAction::Destroy, "hookID=7"), Ok(HookCall::Destroy("7".into())));
    }

    #[test]
    fn missing_and_wrong_parameters_of_hooks_are_refused_in_the_words_of_the_catalogue() {
        let long = format!("callbackURL=https://x/&meetingID={}", "x".repeat(257));
        for (action, query, refusal) in [
            (HookAction::Create, "", Refusal::MISSING_CALLBACK_URL),
            (HookAction::Create, "callbackURL=", Refusal::MISSING_CALLBACK_URL),
            (HookAction::Create, "callbackURL=https://x/&getRaw=maybe", Refusal::HOOK_NOT_CREATED),
            (
                HookAction::Create,
                "callbackURL=https://x/&callbackURL=https://y/",
                Refusal::HOOK_PARAM_REPEATED,
            ),
            (HookAction::Create, &long, Refusal::MEETING_ID_LENGTH),
            (HookAction::Destroy, "", Refusal::MISSING_HOOK_ID),
            (HookAction::Destroy, "hookID=1&hook%49D=2", Refusal::HOOK_PARAM_REPEATED),
        ] {
            assert_eq!(ask(action, query), Err(refusal), "{query}");
        }
    }

    #[test]
    fn an_event_without_proof_is_none() {
        let secret = Secret::new("s");
        let form = "domain=x&event=%5B%5D&timestamp=1";
        for (query, bearer) in [("", None), ("checksum=abc", Some("s")), ("", Some("t"))] {
            assert!(posted("https://x/", form, query, bearer, &secret).is_none(), "{query} {bearer:?}");
        }
        assert!(posted("https://x/", form, "", Some("s"), &secret).is_some());
        assert!(posted("https://x/", "domain=x", "", Some("s"), &secret).is_none());
    }
}
