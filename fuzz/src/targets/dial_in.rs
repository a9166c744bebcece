//! The requests of `FreeSWITCH` about callers, and the answers to it.

use quick_xml::{Reader, events::Event};
use usher_edge_proxy::core::dial_in::{DialInAnswer, DialInCall, DialInPrompt, document, numbers};

/// Reads a request about a caller: every answer is a document of `FreeSWITCH` without a variable or a
/// command in the words of the caller.
pub(super) fn dial_in(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let call = DialInCall::read(&text);
    let pin = call.as_ref().and_then(|call| call.pin.clone()).unwrap_or_default();
    assert!(numbers(&pin).count() <= 3);
    let prompt = DialInPrompt { pin_min: 5, pin_max: 11, max_call: 7200 };
    let meeting = call.as_ref().map_or("room", |call| call.destination.as_str());
    // Only a PIN that is the number of a meeting is bridged.
    let is_number = !pin.is_empty() && pin.bytes().all(|byte| byte.is_ascii_digit());
    let bridged = if is_number { pin.as_str() } else { "70000" };
    let bridge = DialInAnswer::Bridge { meeting, pin: bridged, host: "bbb.example.org" };
    for answer in
        [DialInAnswer::NotFound, DialInAnswer::Ask, DialInAnswer::AskAgain, bridge, DialInAnswer::Unreachable]
    {
        let xml = document(call.as_ref(), answer, prompt);
        assert!(xml.len() <= 4096 + 16 * text.len(), "{} bytes", xml.len());
        let actions = actions(&xml);
        assert!(actions.iter().all(|(name, _)| NAMES.contains(&name.as_str())), "{actions:?}");
        for (name, data) in &actions {
            assert!(!data.contains(['\n', '\r', '\0']), "{data:?}");
            // `transfer` reads the PIN that the caller types.
            assert!(name == "transfer" || name == "play_and_get_digits" || !data.contains(['$', '\\']));
        }
    }
}

/// The applications of `FreeSWITCH` that an answer may run.
const NAMES: [&str; 9] = [
    "answer",
    "bridge",
    "hangup",
    "play_and_get_digits",
    "playback",
    "sched_hangup",
    "set",
    "sleep",
    "transfer",
];

/// Returns the actions of a document with their data, read by an XML parser.
fn actions(xml: &str) -> Vec<(String, String)> {
    let mut reader = Reader::from_str(xml);
    let mut actions = Vec::new();
    loop {
        match reader.read_event().unwrap_or_else(|error| panic!("{error}: {xml}")) {
            Event::Eof => return actions,
            Event::Empty(element) if element.name().as_ref() == "action" => {
                let value = |name: &str| {
                    let attribute = element.try_get_attribute(name).expect("attributes");
                    attribute.map_or_else(String::new, |attribute| {
                        let version = quick_xml::XmlVersion::Implicit1_0;
                        attribute.normalized_value(version).expect("a value").into_owned()
                    })
                };
                actions.push((value("application"), value("data")));
            }
            _ => {}
        }
    }
}
