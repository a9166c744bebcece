use super::*;

/// Reads the parameters of a call and checks them.
fn check(call: ApiCall, parameters: &str) -> Result<Option<String>, Refusal> {
    let list = ParameterList::parse(parameters, 100).expect("is short");
    super::check(call, &list).map(|id| id.map(Cow::into_owned))
}

fn refusal(call: ApiCall, parameters: &str) -> Option<Refusal> {
    check(call, parameters).err()
}

#[test]
fn each_fault_of_a_create_has_its_key_and_words() {
    let long = "x".repeat(257);
    let fine = "meetingID=ab&name=cd";
    for (parameters, expected) in [
        ("name=cd".to_owned(), Refusal::MISSING_MEETING_ID),
        ("meetingID=&name=cd".into(), Refusal::MISSING_MEETING_ID),
        ("meetingID=++&name=cd".into(), Refusal::MISSING_MEETING_ID),
        ("meetingID=a&name=cd".into(), Refusal::MEETING_ID_LENGTH),
        (format!("meetingID={long}&name=cd"), Refusal::MEETING_ID_LENGTH),
        ("meetingID=a%2Cb&name=cd".into(), Refusal::MEETING_ID_COMMA),
        ("meetingID=+ab&name=cd".into(), Refusal::MEETING_ID_INVALID),
        ("meetingID=a%07b&name=cd".into(), Refusal::MEETING_ID_INVALID),
        ("meetingID=ab&meetingID=ab&name=cd".into(), Refusal::MEETING_ID_INVALID),
        ("meetingID=ab&meeting%49D=ab&name=cd".into(), Refusal::MEETING_ID_INVALID),
        ("meetingID=ab".into(), Refusal::MISSING_MEETING_NAME),
        ("meetingID=ab&name=c".into(), Refusal::MEETING_NAME_LENGTH),
        (format!("meetingID=ab&name={long}"), Refusal::MEETING_NAME_LENGTH),
        (format!("{fine}&voiceBridge=7x"), Refusal::VOICE_BRIDGE_NUMBER),
        (format!("{fine}&record=maybe"), Refusal::RECORD_BOOLEAN),
        (format!("{fine}&attendeePW=x"), Refusal::INVALID_PASSWORD),
        (format!("{fine}&moderatorPW={}", "x".repeat(65)), Refusal::INVALID_PASSWORD),
        (format!("{fine}&isBreakout=true"), Refusal::PARENT_ID_MISSING),
        (format!("{fine}&presentationUploadExternalUrl=nonsense"), Refusal::PRESENTATION_URL),
        (format!("{fine}&presentationUploadExternalUrl=file%3A%2F%2F%2Fx"), Refusal::PRESENTATION_URL),
    ] {
        assert_eq!(refusal(ApiCall::Create, &parameters), Some(expected), "{parameters}");
    }
}

#[test]
fn lawful_creates_pass_and_ids_come_back_decoded() {
    for parameters in [
        "meetingID=%E6%9D%B1%E4%BA%AC&name=J%C3%BCrgen",
        "meetingID=%E6%9D%B1%E4%BA%AC&name=ab&record=TRUE&voiceBridge=70000&attendeePW=&welcome=",
        "meetingID=%E6%9D%B1%E4%BA%AC&name=ab&unknown=1&unknown=2&record=",
    ] {
        assert_eq!(check(ApiCall::Create, parameters).unwrap().as_deref(), Some("東京"), "{parameters}");
    }
}

#[test]
fn each_fault_of_a_join_has_its_key_and_words() {
    let fine = "meetingID=ab&fullName=Ada&role=VIEWER";
    assert_eq!(check(ApiCall::Join, fine).unwrap().as_deref(), Some("ab"));
    for (parameters, expected) in [
        ("fullName=Ada&role=VIEWER", Refusal::MISSING_MEETING_ID),
        ("meetingID=ab&role=VIEWER", Refusal::MISSING_FULL_NAME),
        ("meetingID=ab&fullName=+&role=VIEWER", Refusal::MISSING_FULL_NAME),
        ("meetingID=ab&fullName=Ada", Refusal::JOIN_ROLE),
        ("meetingID=ab&fullName=Ada&role=&password=", Refusal::JOIN_ROLE),
        ("meetingID=ab&fullName=Ada&password=x", Refusal::INVALID_PASSWORD),
        ("meetingID=ab&fullName=Ada&role=VIEWER&guest=perhaps", Refusal::GUEST_BOOLEAN),
        ("meetingID=ab&fullName=Ada&role=VIEWER&auth=perhaps", Refusal::AUTH_BOOLEAN),
        ("meetingID=ab&meetingID=cd&fullName=Ada&role=VIEWER", Refusal::MEETING_ID_INVALID),
    ] {
        assert_eq!(refusal(ApiCall::Join, parameters), Some(expected), "{parameters}");
    }
}

#[test]
fn each_fault_of_a_chat_message_has_its_key_and_words() {
    let long = "x".repeat(501);
    for (parameters, expected) in [
        ("message=hi".to_owned(), Refusal::MISSING_MEETING_ID),
        ("meetingID=ab".into(), Refusal::MISSING_CHAT_MESSAGE),
        ("meetingID=ab&message=".into(), Refusal::CHAT_MESSAGE_LENGTH),
        (format!("meetingID=ab&message={long}"), Refusal::CHAT_MESSAGE_LENGTH),
        (format!("meetingID=ab&message=hi&userName={long}"), Refusal::CHAT_USER_NAME_LENGTH),
    ] {
        assert_eq!(refusal(ApiCall::SendChatMessage, &parameters), Some(expected), "{parameters}");
    }
}

/// The limits of BBB count UTF-16 units. A name of one emoji has two of them.
#[test]
fn lengths_count_utf16_units() {
    let emoji = |count: usize| "%F0%9F%98%80".repeat(count);
    for (id, name, expected) in [
        (emoji(1), emoji(1), None),
        (emoji(128), emoji(128), None),
        (emoji(129), emoji(1), Some(Refusal::MEETING_ID_LENGTH)),
        (emoji(1), emoji(129), Some(Refusal::MEETING_NAME_LENGTH)),
        ("ab".into(), "%C3%A9".into(), Some(Refusal::MEETING_NAME_LENGTH)),
    ] {
        assert_eq!(refusal(ApiCall::Create, &format!("meetingID={id}&name={name}")), expected, "{id} {name}");
    }
    for (password, expected) in [(1, None), (32, None), (33, Some(Refusal::INVALID_PASSWORD))] {
        let password = emoji(password);
        let create = format!("meetingID=ab&name=cd&attendeePW={password}");
        assert_eq!(refusal(ApiCall::Create, &create), expected, "{password}");
        let join = format!("meetingID=ab&fullName=Ada&password={password}");
        assert_eq!(refusal(ApiCall::Join, &join), expected, "{password}");
    }
    for (message, user, expected) in [
        (250, 127, None),
        (251, 1, Some(Refusal::CHAT_MESSAGE_LENGTH)),
        (1, 128, Some(Refusal::CHAT_USER_NAME_LENGTH)),
    ] {
        let chat = format!("meetingID=ab&message={}&userName={}", emoji(message), emoji(user));
        assert_eq!(refusal(ApiCall::SendChatMessage, &chat), expected, "{message} {user}");
    }
}

#[test]
fn calls_about_no_meeting_need_no_id() {
    for call in [ApiCall::GetMeetings, ApiCall::Root, ApiCall::GetRecordings] {
        assert_eq!(check(call, ""), Ok(None));
    }
}
