//! Reads the answers of `hooks/list` and `hooks/create`.

use super::{
    element::{ElementWalk, UnreadableReply},
    outcome::{FailedReply, ServerReply},
};

/// One hook in the list of a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListedHook {
    /// Id of the hook: a number on BBB 2, a UUID on BBB 3.
    pub id: String,
    /// URL that gets the events.
    pub callback_url: String,
    /// Whether events have the form of the message bus of the server.
    pub raw: bool,
    /// Meeting of the hook; `None` for all meetings.
    pub meeting_id: Option<String>,
}

/// Reads the answer of `hooks/list`.
pub fn hooks(body: &str) -> Result<ServerReply<Vec<ListedHook>>, UnreadableReply> {
    let mut walk = ElementWalk::response(body)?;
    let (mut success, mut listed, mut failure) = (None, None, FailedReply::default());
    while let Some((name, _)) = walk.child(1)? {
        match name {
            "returncode" => success = Some(walk.text()?.trim() == "SUCCESS"),
            "messageKey" => failure.key = walk.text()?.into_owned(),
            "message" => failure.message = walk.text()?.into_owned(),
            "hooks" => {
                let listed = listed.get_or_insert_with(Vec::new);
                while let Some((name, _)) = walk.child(2)? {
                    if name == "hook" {
                        listed.push(hook(&mut walk)?);
                    }
                }
            }
            _ => {}
        }
    }
    walk.finish()?;
    match (success.ok_or(UnreadableReply::Missing("returncode"))?, listed) {
        (false, _) => Ok(ServerReply::Failed(failure)),
        (true, Some(listed)) => Ok(ServerReply::Success(listed)),
        (true, None) => Err(UnreadableReply::Missing("hooks")),
    }
}

fn hook(walk: &mut ElementWalk<'_>) -> Result<ListedHook, UnreadableReply> {
    let depth = walk.depth();
    let mut hook = ListedHook::default();
    while let Some((name, _)) = walk.child(depth)? {
        match name {
            "hookID" => hook.id = walk.text()?.trim().into(),
            "callbackURL" => hook.callback_url = walk.text()?.trim().into(),
            "rawData" => hook.raw = walk.text()?.trim().eq_ignore_ascii_case("true"),
            "meetingID" => hook.meeting_id = Some(walk.text()?.into_owned()),
            _ => {}
        }
    }
    if hook.id.is_empty() { Err(UnreadableReply::Missing("hookID")) } else { Ok(hook) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_both_versions_are_read() {
        let body = "<response><returncode>SUCCESS</returncode><hooks><hook><hookID>1</hookID>\
            <callbackURL><![CDATA[https://app.example.org/cb?a=1&b=2]]></callbackURL>\
            <meetingID><![CDATA[room-42]]></meetingID><eventID>meeting-ended</eventID>\
            <permanentHook>false</permanentHook><rawData>false</rawData></hook><hook>\
            <hookID>3f2b8c1e-1f5d-4f64-9d7a-0c2f6c0b5a11</hookID><callbackURL>\
            <![CDATA[https://x/]]></callbackURL><rawData>true</rawData></hook></hooks></response>";
        let Ok(ServerReply::Success(hooks)) = hooks(body) else { panic!() };
        assert_eq!(hooks[0].callback_url, "https://app.example.org/cb?a=1&b=2");
        assert_eq!((hooks[0].meeting_id.as_deref(), hooks[0].raw), (Some("room-42"), false));
        assert_eq!((hooks[1].id.len(), hooks[1].meeting_id.as_deref(), hooks[1].raw), (36, None, true));
    }

    #[test]
    fn an_empty_list_is_one_and_a_failure_or_a_page_is_none() {
        let empty = "<response><returncode>SUCCESS</returncode><hooks></hooks></response>";
        assert_eq!(hooks(empty), Ok(ServerReply::Success(Vec::new())));
        let failed = "<response><returncode>FAILED</returncode><messageKey>listHookError</messageKey>\
            <message>x</message></response>";
        assert!(matches!(hooks(failed), Ok(ServerReply::Failed(failure)) if failure.key == "listHookError"));
        for none in ["", "<html><body>404</body></html>", "<response><returncode>SUCCESS</returncode>"] {
            assert!(hooks(none).is_err(), "{none}");
        }
    }
}
