//! Reads events: as bbb-webhooks maps them, or as they are on a server's bus. The few members that are
//! needed are looked up in the text itself; the rest is not parsed and stays byte for byte.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::value::RawValue;
use usher_model::id::{InternalMeetingId, TenantId};

/// Metadata by which a meeting names its tenant, as servers spell it.
const MARK: &str = "usher-tenant";

/// The members of an event that decide about it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventFacts {
    /// Its name: `user-joined`, or that of the message on the bus.
    pub name: String,
    /// The meeting's `meetingID` on the server.
    pub external: Option<String>,
    /// Internal id of the instance.
    pub internal: Option<InternalMeetingId>,
    /// For a breakout room, the internal id of the parent instance.
    pub parent: Option<InternalMeetingId>,
    /// The tenant that the meeting's metadata names, where the event carries any.
    pub mark: Option<TenantId>,
    /// When it happened by the server's clock, milliseconds since 1970; 0 where it does not say.
    pub at_ms: i64,
}

/// The events are none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the events are no JSON array of objects")]
pub struct InvalidEvents;

/// Returns the events of an array, each as it is written there.
///
/// # Errors
/// It is none.
pub fn split(events: &str) -> Result<Vec<&str>, InvalidEvents> {
    let all: Vec<&RawValue> = serde_json::from_str(events).map_err(|_| InvalidEvents)?;
    let all: Vec<&str> = all.into_iter().map(RawValue::get).collect();
    if all.iter().all(|event| event.starts_with('{')) { Ok(all) } else { Err(InvalidEvents) }
}

/// Reads the members of an event that decide about it.
pub fn facts(event: &str) -> EventFacts {
    let text = |paths: &[&[&str]]| paths.iter().find_map(|path| text_at(event, path));
    let name =
        text(&[&["data", "id"], &["envelope", "name"], &["core", "header", "name"], &["header", "name"]]);
    let internal = text(&[
        &["data", "attributes", "meeting", "internal-meeting-id"],
        &["core", "body", "props", "meetingProp", "intId"],
        &["envelope", "routing", "meetingId"],
        &["core", "header", "meetingId"],
        &["core", "body", "meetingId"],
        &["header", "body", "meetingId"],
        &["payload", "meeting_id"],
    ]);
    let external = text(&[
        &["data", "attributes", "meeting", "external-meeting-id"],
        &["core", "body", "props", "meetingProp", "extId"],
        &["payload", "external_meeting_id"],
    ]);
    let parent = text(&[
        &["data", "attributes", "meeting", "parent-id"],
        &["core", "body", "props", "breakoutProps", "parentId"],
    ]);
    let mark = [
        &["data", "attributes", "meeting", "metadata"][..],
        &["data", "attributes", "recording", "metadata"],
        &["core", "body", "props", "metadataProp", "metadata"],
        &["payload", "metadata"],
    ]
    .iter()
    .find_map(|path| text_at(at(event, path)?, &[MARK]));
    let at_ms = [&["data", "event", "ts"][..], &["envelope", "timestamp"], &["header", "current_time"]]
        .iter()
        .find_map(|path| at(event, path)?.trim_matches('"').parse().ok());
    let instance = |id: Option<Cow<'_, str>>| id.and_then(|id| InternalMeetingId::parse(&id).ok());
    EventFacts {
        name: name.unwrap_or_default().into_owned(),
        external: external.filter(|id| !id.is_empty()).map(Cow::into_owned),
        internal: instance(internal),
        parent: instance(parent),
        mark: mark.and_then(|tenant| TenantId::parse(&tenant).ok()),
        at_ms: at_ms.unwrap_or(0),
    }
}

/// The members of an object, in order, their values as they are written.
pub(super) struct JsonMembers<'a>(pub(super) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> JsonMembers<'a> {
    pub(super) fn read(object: &'a str) -> Option<Self> {
        if object.starts_with('{') { serde_json::from_str(object).ok() } else { None }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonMembers<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = JsonMembers<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsonMembers<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                    members.push((member.0.0, member.1));
                }
                Ok(JsonMembers(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

/// A name, borrowed where it holds no escapes.
#[derive(Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

/// Returns a text, if a value is one.
pub(super) fn text_of(value: &str) -> Option<Cow<'_, str>> {
    serde_json::from_str::<Key<'_>>(value).ok().map(|text| text.0)
}

fn text_at<'e>(event: &'e str, path: &[&str]) -> Option<Cow<'e, str>> {
    text_of(at(event, path)?)
}

fn at<'e>(event: &'e str, path: &[&str]) -> Option<&'e str> {
    path.iter().try_fold(event, |value, name| {
        let members = JsonMembers::read(value)?;
        members.0.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.get())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_events_name_their_owner() {
        let events = r#"[{"data":{"type":"event","id":"meeting-created","attributes":{"meeting":
            {"internal-meeting-id":"ab-1","external-meeting-id":"school~room","parent-id":"bbb-none",
            "metadata":{"usher-tenant":"school","x":"\ud800"}}},"event":{"ts":1700000000000}}},
            {"data":{"id":"user-joined"}}]"#;
        let events = split(events).expect("is an array");
        assert_eq!(events.len(), 2);
        let told = facts(events[0]);
        assert_eq!((told.name.as_str(), told.at_ms), ("meeting-created", 1_700_000_000_000));
        assert_eq!(told.external.as_deref(), Some("school~room"));
        assert_eq!(told.internal, InternalMeetingId::parse("ab-1").ok());
        assert_eq!(told.mark, TenantId::parse("school").ok());
        assert_eq!(facts(events[1]), EventFacts { name: "user-joined".into(), ..EventFacts::default() });
    }

    #[test]
    fn messages_of_the_bus_say_so_elsewhere() {
        let created = r#"{"envelope":{"name":"MeetingCreatedEvtMsg","routing":{"sender":"x"},"timestamp":5},
            "core":{"header":{"name":"MeetingCreatedEvtMsg"},"body":{"props":{"meetingProp":
            {"extId":"room","intId":"ab-1"},"breakoutProps":{"parentId":"cd-2"},
            "metadataProp":{"metadata":{"usher-tenant":"default"}}}}}}"#;
        let told = facts(created);
        assert_eq!((told.name.as_str(), told.at_ms), ("MeetingCreatedEvtMsg", 5));
        assert_eq!(
            (told.external.as_deref(), told.parent),
            (Some("room"), InternalMeetingId::parse("cd-2").ok())
        );
        assert_eq!(told.mark, Some(TenantId::default_tenant()));
        let joined = r#"{"envelope":{"name":"X","routing":{"meetingId":"ab-1"}},"core":{"header":{}}}"#;
        assert_eq!(facts(joined).internal, InternalMeetingId::parse("ab-1").ok());
        let recorded = r#"{"header":{"name":"publish_ended","current_time":"7"},
            "payload":{"meeting_id":"ab-1","external_meeting_id":"room"}}"#;
        let told = facts(recorded);
        assert_eq!(
            (told.name.as_str(), told.external.as_deref(), told.at_ms),
            ("publish_ended", Some("room"), 7)
        );
    }

    #[test]
    fn a_text_that_is_no_array_of_objects_is_refused_without_a_panic() {
        for text in ["", "{}", "[1]", "[{}", "[[]]", "null", "[{}]x"] {
            assert_eq!(split(text), Err(InvalidEvents), "{text}");
        }
        for text in ["{}", "{\"data\":1}", "{\"data\":{\"id\":[]}}"] {
            assert_eq!(facts(text), EventFacts::default(), "{text}");
        }
    }
}
