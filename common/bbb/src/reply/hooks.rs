//! The answers of `hooks/*`, on one line as bbb-webhooks writes them (wire-contract 6).

use super::xml::push_escaped;

/// One hook in the answer of `hooks/list`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HookElement<'h> {
    /// Id of the hook.
    pub id: &'h str,
    /// URL that gets the events.
    pub callback_url: &'h str,
    /// Meeting of the hook; `None` for all meetings.
    pub meeting_id: Option<&'h str>,
    /// Events of the hook, comma-separated; `None` for all events.
    pub event_id: Option<&'h str>,
    /// Whether events have the form of the message bus of the servers.
    pub raw: bool,
}

/// The answer of `hooks/ping`.
pub const PING: &str = "bbb-webhooks API up!";

/// Returns the answer of `hooks/create`.
pub fn hook_created(id: &str, raw: bool) -> String {
    success(&format!("<hookID>{id}</hookID><permanentHook>false</permanentHook><rawData>{raw}</rawData>"))
}

/// Returns the answer of `hooks/create` for an address that has a hook already.
pub fn hook_exists(id: &str) -> String {
    success(&format!(
        "<hookID>{id}</hookID><messageKey>duplicateWarning</messageKey>\
         <message>There is already a hook for this callback URL.</message>"
    ))
}

/// Returns the answer of `hooks/destroy`.
pub fn hook_destroyed() -> String {
    success("<removed>true</removed>")
}

/// Returns the answer of `hooks/list`.
pub fn hooks<'h>(hooks: impl IntoIterator<Item = HookElement<'h>>) -> String {
    let mut body = String::from("<hooks>");
    for hook in hooks {
        body.push_str(&format!("<hook><hookID>{}</hookID>", hook.id));
        cdata(&mut body, "callbackURL", hook.callback_url);
        if let Some(meeting) = hook.meeting_id {
            cdata(&mut body, "meetingID", meeting);
        }
        if let Some(events) = hook.event_id {
            body.push_str("<eventID>");
            push_escaped(&mut body, events);
            body.push_str("</eventID>");
        }
        body.push_str(&format!("<permanentHook>false</permanentHook><rawData>{}</rawData></hook>", hook.raw));
    }
    body.push_str("</hooks>");
    success(&body)
}

/// Appends an element with a CDATA section. Text that would end the section, or that XML forbids, is escaped instead.
fn cdata(out: &mut String, name: &str, text: &str) {
    let plain = |c: char| !c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}');
    out.push_str(&format!("<{name}>"));
    if text.chars().all(plain) && !text.contains("]]>") {
        out.push_str(&format!("<![CDATA[{text}]]>"));
    } else {
        push_escaped(out, text);
    }
    out.push_str(&format!("</{name}>"));
}

fn success(body: &str) -> String {
    format!("<response><returncode>SUCCESS</returncode>{body}</response>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse;

    #[test]
    fn answers_are_those_of_bbb_webhooks() {
        assert_eq!(
            hook_created("7", false),
            "<response><returncode>SUCCESS</returncode><hookID>7</hookID><permanentHook>false</permanentHook>\
             <rawData>false</rawData></response>"
        );
        assert!(hook_exists("7").contains("<hookID>7</hookID><messageKey>duplicateWarning</messageKey>"));
        let hook = HookElement {
            id: "1",
            callback_url: "https://app.example.org/cb",
            meeting_id: Some("room-42"),
            event_id: Some("meeting-ended"),
            raw: false,
        };
        assert_eq!(
            hooks([hook]),
            "<response><returncode>SUCCESS</returncode><hooks><hook><hookID>1</hookID><callbackURL>\
             <![CDATA[https://app.example.org/cb]]></callbackURL><meetingID><![CDATA[room-42]]></meetingID>\
             <eventID>meeting-ended</eventID><permanentHook>false</permanentHook><rawData>false</rawData>\
             </hook></hooks></response>"
        );
    }

    #[test]
    fn any_id_reads_back() {
        for text in ["a&b", "]]>", "<x>", "a\u{b}b"] {
            let hook =
                HookElement { id: "1", callback_url: "x", meeting_id: Some(text), event_id: None, raw: true };
            let answer = hooks([hook]);
            let Ok(parse::ServerReply::Success(listed)) = parse::hooks(&answer) else { panic!("{answer}") };
            assert_eq!(listed[0].meeting_id.as_deref(), Some(text.replace('\u{b}', "").as_str()));
        }
    }
}
