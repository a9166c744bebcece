//! Rewrites an event for its application: the meeting's id as the application chose it, the
//! application's own callback addresses, and no metadata of ours. Every other byte stays as it came.

use std::borrow::Cow;

use serde_json::{Value, value::RawValue};
use usher_model::callback::{PATH, ShownAddress};

use super::event::{JsonMembers, text_of};

/// Deepest nesting that is looked into; real events have six levels.
const MAX_DEPTH: usize = 32;
/// Prefix of the names of our metadata.
const OURS: &str = "usher-";
/// The object in which applications' addresses stand.
const METADATA: &str = "metadata";

/// Position of a value in an event.
#[derive(Debug, Clone, Copy)]
struct Position<'e> {
    depth: usize,
    /// The name of the member that it is.
    name: &'e str,
    /// The value is a member of metadata.
    in_metadata: bool,
}

impl<'e> Position<'e> {
    const TOP: Self = Self { depth: 0, name: "", in_metadata: false };

    fn member(self, name: &'e str) -> Self {
        Self { depth: self.depth + 1, name, in_metadata: self.name == METADATA }
    }

    fn item(self) -> Self {
        Self { depth: self.depth + 1, name: "", in_metadata: false }
    }
}

/// The values that are replaced in an event.
pub struct EventWording<'w> {
    /// The meeting's id on the servers.
    pub on_server: &'w str,
    /// As its application knows it.
    pub own: &'w str,
    /// Returns the address that the application is shown, by the name and the value of metadata.
    pub address: &'w dyn Fn(&str, &str) -> ShownAddress,
}

/// Returns an event, a JSON object, in its application's own words.
pub fn in_own_words<'e>(event: &'e str, words: &EventWording<'_>) -> Cow<'e, str> {
    let mut out = Changed { text: event, out: None, copied: 0 };
    walk(event, Position::TOP, words, &mut out);
    match out.out {
        Some(mut text) => {
            text.push_str(&event[out.copied..]);
            Cow::Owned(text)
        }
        None => Cow::Borrowed(event),
    }
}

/// A copy that is begun with the first change.
struct Changed<'e> {
    text: &'e str,
    out: Option<String>,
    copied: usize,
}

impl<'e> Changed<'e> {
    /// Puts something in the place of a part of the text.
    fn replace(&mut self, part: &'e str, by: &str) {
        let from = part.as_ptr() as usize - self.text.as_ptr() as usize;
        let out = self.out.get_or_insert_with(|| String::with_capacity(self.text.len()));
        out.push_str(&self.text[self.copied..from]);
        out.push_str(by);
        self.copied = from + part.len();
    }
}

fn walk<'e>(value: &'e str, at: Position<'_>, words: &EventWording<'_>, out: &mut Changed<'e>) {
    if at.depth > MAX_DEPTH {
        return;
    }
    match value.as_bytes().first() {
        Some(b'{') => {
            let Some(JsonMembers(members)) = JsonMembers::read(value) else { return };
            if members.iter().any(|(name, member)| is_left_out(name, member.get(), at, words)) {
                out.replace(value, &without_ours(&members, at, words));
                return;
            }
            for (name, member) in &members {
                walk(member.get(), at.member(name), words, out);
            }
        }
        Some(b'[') => {
            let items: Vec<&'e RawValue> = serde_json::from_str(value).unwrap_or_default();
            for item in items {
                walk(item.get(), at.item(), words, out);
            }
        }
        Some(b'"') => {
            let Some(text) = text_of(value) else { return };
            if text == words.on_server && words.own != words.on_server {
                out.replace(value, &Value::from(words.own).to_string());
            } else if at.in_metadata
                && text.contains(PATH)
                && let ShownAddress::Application(own) = (words.address)(at.name, &text)
            {
                out.replace(value, &Value::from(own).to_string());
            }
        }
        _ => {}
    }
}

/// Returns whether the application is not shown a member of the object at `at`: our metadata, or an address of ours
/// that does not open.
fn is_left_out(name: &str, member: &str, at: Position<'_>, words: &EventWording<'_>) -> bool {
    let is_lost = || {
        let text = text_of(member).filter(|text| text.contains(PATH));
        text.is_some_and(|text| (words.address)(name, &text) == ShownAddress::Lost)
    };
    name.starts_with(OURS) || at.name == METADATA && is_lost()
}

/// Writes an object anew, since a member of it goes.
fn without_ours(members: &[(Cow<'_, str>, &RawValue)], at: Position<'_>, words: &EventWording<'_>) -> String {
    let kept = members.iter().filter(|(name, member)| !is_left_out(name, member.get(), at, words));
    let member = |(name, value): &(Cow<'_, str>, &RawValue)| {
        let mut inner = Changed { text: value.get(), out: None, copied: 0 };
        walk(value.get(), at.member(name), words, &mut inner);
        let rest = &value.get()[inner.copied..];
        format!("{}:{}{rest}", Value::from(name.as_ref()), inner.out.unwrap_or_default())
    };
    format!("{{{}}}", kept.map(member).collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn own(event: &str) -> String {
        let address = |name: &str, url: &str| match url.strip_prefix("https://usher.test/usher/callback/1") {
            Some("lost") if name == "endcallbackurl" => ShownAddress::Lost,
            Some(sealed) if name == "endcallbackurl" => {
                ShownAddress::Application(format!("https://app.test/{sealed}"))
            }
            _ => ShownAddress::Text,
        };
        let words = EventWording { on_server: "school~room", own: "room", address: &address };
        in_own_words(event, &words).into_owned()
    }

    #[test]
    fn ids_and_addresses_are_the_applications_and_the_rest_is_untouched() {
        let event = r#"{ "data" : {"meeting":{"external-meeting-id":"school~room" ,"n":1e2,"x":"a\u00e9\ud800"},
            "list":["school~room",null,"school~room2"],"metadata":{"usher-tenant":"school",
            "endcallbackurl":"https://usher.test/usher/callback/1abc","z":"q\""}}, "big":12345678901234567890123}"#;
        let expected = r#"{ "data" : {"meeting":{"external-meeting-id":"room" ,"n":1e2,"x":"a\u00e9\ud800"},
            "list":["room",null,"school~room2"],"metadata":{"endcallbackurl":"https://app.test/abc","z":"q\""}}, "big":12345678901234567890123}"#;
        assert_eq!(own(event), expected);
    }

    /// Users write texts, and anybody may have come by an address.
    #[test]
    fn an_address_is_put_into_other_words_as_the_metadata_it_was_made_for_and_nowhere_else() {
        let ours = "https://usher.test/usher/callback/1abc";
        for same in [
            format!(r#"{{"message":"{ours}"}}"#),
            format!(r#"{{"endcallbackurl":"{ours}"}}"#),
            format!(r#"{{"metadata":{{"x":"{ours}","y":["{ours}"],"z":{{"endcallbackurl":"{ours}"}}}}}}"#),
            format!(r#"{{"metadata":["{ours}"],"user":{{"name":"{ours}"}}}}"#),
        ] {
            assert_eq!(own(&same), same);
        }
        let marked =
            format!(r#"{{"metadata":{{"usher-tenant":"school","endcallbackurl":"{ours}","x":"{ours}"}}}}"#);
        let expected = format!(r#"{{"metadata":{{"endcallbackurl":"https://app.test/abc","x":"{ours}"}}}}"#);
        assert_eq!(own(&marked), expected);
    }

    #[test]
    fn an_address_of_ours_that_does_not_open_is_left_out() {
        let lost = "https://usher.test/usher/callback/1lost";
        for (given, expected) in [
            (
                format!(r#"{{"metadata":{{"a":"1","endcallbackurl":"{lost}","b":2}}}}"#),
                r#"{"metadata":{"a":"1","b":2}}"#.to_owned(),
            ),
            (
                format!(r#"{{"metadata":{{"endcallbackurl":"{lost}"}},"x":1}}"#),
                r#"{"metadata":{},"x":1}"#.into(),
            ),
            (format!(r#"{{"endcallbackurl":"{lost}"}}"#), format!(r#"{{"endcallbackurl":"{lost}"}}"#)),
            (format!(r#"{{"metadata":{{"x":"{lost}"}}}}"#), format!(r#"{{"metadata":{{"x":"{lost}"}}}}"#)),
        ] {
            assert_eq!(own(&given), expected, "{given}");
        }
    }

    #[test]
    fn an_event_with_nothing_to_change_is_the_same_bytes() {
        for event in [r#"{"a":"room"}"#, "{}", r#"{"a":"https://x/usher/callback/y"}"#, "{\"a\":", "x"] {
            assert_eq!(own(event), event);
        }
        let deep = format!("{}{}{}", r#"{"a":"#.repeat(200), "\"school~room\"", "}".repeat(200));
        assert_eq!(own(&deep), deep, "nobody nests like this");
    }

    proptest! {
        #[test]
        fn only_the_value_is_changed(
            texts in prop::collection::vec("school~room|[a-z\"\\\\\u{e9}]{0,6}", 0..6),
        ) {
            let value = serde_json::json!({ "a": texts, "b": { "c": texts.first() } });
            let told: Value = serde_json::from_str(&own(&value.to_string())).expect("is JSON");
            let wanted: Vec<_> =
                texts.iter().map(|text| if text == "school~room" { "room" } else { text }).collect();
            let expected = serde_json::json!({ "a": wanted, "b": { "c": wanted.first() } });
            prop_assert_eq!(told, expected);
        }
    }
}
