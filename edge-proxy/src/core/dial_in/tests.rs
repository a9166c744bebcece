use proptest::prelude::*;
use quick_xml::{Reader, XmlVersion, events::Event};

use super::*;

const PROMPT: DialInPrompt = DialInPrompt { pin_min: 5, pin_max: 9, max_call: 0 };

/// Reads a document with an XML parser: every element's name and attributes, in order.
fn read(xml: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut reader = Reader::from_str(xml);
    let (mut elements, mut depth) = (Vec::new(), 0_i32);
    loop {
        let (element, opens) = match reader.read_event().expect("is well-formed") {
            Event::Start(element) => (element, 1),
            Event::Empty(element) => (element, 0),
            Event::End(_) => {
                depth -= 1;
                continue;
            }
            Event::Eof => break,
            _ => continue,
        };
        depth += opens;
        let name = element.name().as_ref().to_owned();
        let attributes = element.attributes().map(|attribute| {
            let attribute = attribute.expect("an attribute");
            let value = attribute.normalized_value(XmlVersion::Implicit1_0).expect("a value").into_owned();
            (attribute.key.as_ref().to_owned(), value)
        });
        elements.push((name, attributes.collect()));
    }
    assert_eq!(depth, 0, "{xml}");
    elements
}

fn call(destination: &str) -> DialInCall {
    DialInCall { destination: destination.into(), pin: None, caller: "Ann".into() }
}

/// Returns the name of the extension, the expression that it matches, and its actions.
fn plan(
    call: &DialInCall,
    answer: DialInAnswer<'_>,
    prompt: DialInPrompt,
) -> (String, String, Vec<(String, String)>) {
    let elements = read(&document(Some(call), answer, prompt));
    let attribute = |element: &(String, Vec<(String, String)>), name: &str| {
        element.1.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
    };
    let named = |name: &str| elements.iter().find(|(element, _)| element == name).expect("an element");
    assert_eq!(attribute(named("document"), "type"), "freeswitch/xml");
    assert_eq!(attribute(named("section"), "name"), "dialplan");
    assert_eq!(attribute(named("context"), "name"), "public");
    assert_eq!(attribute(named("condition"), "field"), "destination_number");
    let actions = elements.iter().filter(|(element, _)| element == "action");
    (
        attribute(named("extension"), "name"),
        attribute(named("condition"), "expression"),
        actions.map(|action| (attribute(action, "application"), attribute(action, "data"))).collect(),
    )
}

fn pairs(actions: &[(&str, &str)]) -> Vec<(String, String)> {
    actions.iter().map(|(application, data)| ((*application).to_owned(), (*data).to_owned())).collect()
}

const DIGITS: &str = r"5 9 3 7000 # conference/conf-enter_conf_pin.wav conference/conf-bad-pin.wav pin \d+";

#[test]
fn a_caller_gets_the_prompt_for_a_pin() {
    let (name, expression, actions) = plan(&call("+49.30*1"), DialInAnswer::Ask, PROMPT);
    assert_eq!((name.as_str(), expression.as_str()), ("match_did_and_prompt_for_pin", r"^\+49\.30\*1$"));
    let expected = [
        ("answer", ""),
        ("sleep", "500"),
        ("playback", "ivr/ivr-welcome.wav"),
        ("sleep", "200"),
        ("play_and_get_digits", DIGITS),
        ("transfer", "${pin} XML public"),
    ];
    assert_eq!(actions, pairs(&expected));
    let limited = plan(&call("1"), DialInAnswer::Ask, DialInPrompt { max_call: 7200, ..PROMPT }).2;
    assert_eq!(limited[1], ("sched_hangup".into(), "+7200 normal_clearing".into()));
}

/// The second prompt of Scalelite has a mistake: it accepts the letter d and no digit.
#[test]
fn a_caller_who_mistyped_may_type_digits_again() {
    let (name, _, actions) = plan(&call("12345"), DialInAnswer::AskAgain, PROMPT);
    assert_eq!(name, "reprompt_for_pin");
    let expected = [
        ("playback", "conference/conf-bad-pin.wav"),
        ("sleep", "500"),
        ("play_and_get_digits", DIGITS),
        ("transfer", "${pin} XML public"),
    ];
    assert_eq!(actions, pairs(&expected));
}

#[test]
fn a_caller_with_a_pin_is_connected() {
    let answer = DialInAnswer::Bridge { meeting: "room", pin: "12345", host: "bbb1.example" };
    let (name, expression, actions) = plan(&call("12345"), answer, PROMPT);
    assert_eq!((name.as_str(), expression.as_str()), ("bridge_to_bbb_server", "^12345$"));
    let expected = [
        ("set", "meeting_id=room"),
        ("set", "effective_caller_id_name=Ann"),
        ("bridge", "sofia/external/12345@bbb1.example"),
    ];
    assert_eq!(actions, pairs(&expected));
    let (name, _, actions) = plan(&call("12345"), DialInAnswer::Unreachable, PROMPT);
    assert_eq!((name.as_str(), actions.last().unwrap().0.as_str()), ("server_unreachable", "hangup"));
}

#[test]
fn a_form_without_a_call_is_not_found() {
    for form in [
        "section=directory&Caller-Destination-Number=1",
        "section=dialplan",
        "section=dialplan&Caller-Destination-Number=",
        "Caller-Destination-Number=1",
        "",
    ] {
        assert_eq!(DialInCall::read(form), None, "{form}");
    }
    let elements = read(&document(None, DialInAnswer::Ask, PROMPT));
    assert_eq!(elements.last().unwrap().1, [("status".to_owned(), "not found".to_owned())]);
}

#[test]
fn a_form_is_read() {
    let form = "section=dialplan&Caller-Destination-Number=%2B4930&variable_pin=12345\
                &Caller-Caller-ID-Name=Ann%20%26%20Bob&Caller-Privacy-Hide-Name=false";
    let expected =
        DialInCall { destination: "+4930".into(), pin: Some("12345".into()), caller: "Ann & Bob".into() };
    assert_eq!(DialInCall::read(form), Some(expected));
    assert_eq!(
        DialInCall::read("section=dialplan&Caller-Destination-Number=1&variable_pin=").unwrap().pin,
        None
    );
}

#[test]
fn callers_can_hide_name_and_number() {
    for (name, hides_name, hides_number, expected) in [
        ("Ann", false, false, "Ann"),
        ("Ann", true, false, "Unavailable"),
        ("Ann", false, true, "Ann"),
        ("6135551234", false, false, "613555XXXX"),
        // Scalelite takes a number with a plus for a name, and shows all digits.
        ("+4930123456", false, false, "+493012XXXX"),
        ("6135551234", true, false, "613555XXXX"),
        ("6135551234", false, true, "Unavailable"),
        ("123", false, false, "XXX"),
        ("+", false, false, "+"),
        ("", false, false, "Unavailable"),
    ] {
        assert_eq!(shown(name, hides_name, hides_number), expected, "{name} {hides_name} {hides_number}");
    }
}

#[test]
fn a_pin_may_be_a_breakout_rooms() {
    let of = |pin: &str| numbers(pin).map(VoiceBridge::number).collect::<Vec<_>>();
    assert_eq!(of("12345"), [12_345]);
    assert_eq!(of("123451"), [123_451, 12_345]);
    assert_eq!(of("1234516"), [1_234_516, 123_451, 12_345]);
    assert_eq!(of("1234506"), [1_234_506, 123_450], "no server calls a room 06");
    assert_eq!(of("39420112416"), [394_201_124]);
    assert!(["", "1", "abc", "12é45", "999999999999"].iter().all(|pin| of(pin).is_empty()));
}

#[test]
fn only_the_password_opens() {
    let password = Secret::new("s3:cret");
    let basic = |text: &str| format!("Basic {}", BASE64_STANDARD.encode(text));
    assert!(is_authorized(Some(&basic("fsapi:s3:cret")), &password));
    assert!(is_authorized(Some(&basic("fsapi:s3:cret").replace("Basic", "basic")), &password));
    let wrong =
        ["fsapi:s3", "fsapi:", "fsapi", "admin:s3:cret", "fsapi:s3:cret2", ""].map(|text| Some(basic(text)));
    for header in wrong.into_iter().chain([None, Some("Bearer s3:cret".into()), Some("Basic %%%".into())]) {
        assert!(!is_authorized(header.as_deref(), &password), "{header:?}");
    }
}

proptest! {
    #[test]
    fn no_caller_meeting_or_number_changes_the_actions(
        destination in "\\PC{1,20}|[$\\\\{}<>&\"'()]{1,9}",
        caller in "\\PC{0,20}|[$\\\\{}<>&\"' system()\n]{0,20}",
        meeting in "\\PC{1,20}|[$\\\\{}<>&\"' ]{1,20}",
    ) {
        let call = DialInCall { destination, pin: None, caller };
        let answer = DialInAnswer::Bridge { meeting: &meeting, pin: "12345", host: "h" };
        let (name, expression, actions) = plan(&call, answer, PROMPT);
        prop_assert_eq!(name, "bridge_to_bbb_server");
        prop_assert!(expression.starts_with('^') && expression.ends_with('$'));
        prop_assert_eq!(actions.len(), 3);
        for (application, data) in &actions[..2] {
            prop_assert_eq!(application, "set");
            prop_assert!(!data.contains(['$', '\\', '\n']), "{}", data);
        }
        prop_assert_eq!(&actions[2].1, "sofia/external/12345@h");
    }
}
