//! Answers in the configuration language of `FreeSWITCH`: a dial plan of one extension, which the
//! call enters at once.

use std::fmt::Write as _;

use usher_bbb::reply::xml::push_escaped;

use super::DialInCall;

/// The properties of the prompt for a PIN, which are the same for every caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DialInPrompt {
    /// The smallest number of digits of a PIN.
    pub pin_min: u32,
    /// The largest number of digits of a PIN.
    pub pin_max: u32,
    /// The longest duration of a call in seconds; 0 means no limit.
    pub max_call: u64,
}

/// The treatment of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DialInAnswer<'a> {
    /// Usher does not handle the request: `FreeSWITCH` reads its own files.
    NotFound,
    /// The caller hears the prompt for a PIN.
    Ask,
    /// No meeting has this PIN: the caller hears the prompt again.
    AskAgain,
    /// The caller is connected to the meeting's server.
    Bridge {
        /// The meeting, as its application knows it.
        meeting: &'a str,
        /// The PIN, which is the number of the conference on the server.
        pin: &'a str,
        /// The server's host name or address.
        host: &'a str,
    },
    /// The meeting's server is unreachable: the caller hears that a later call may succeed.
    Unreachable,
}

/// One action of an extension: the application of `FreeSWITCH` and its data.
type Action<'a> = (&'a str, String);

/// Returns the answer as an XML document.
pub fn document(call: Option<&DialInCall>, answer: DialInAnswer<'_>, prompt: DialInPrompt) -> String {
    let action = |application, data: &str| (application, data.to_owned());
    let (name, actions) = match answer {
        DialInAnswer::NotFound => return not_found(),
        DialInAnswer::Ask => {
            let mut actions = vec![action("answer", "")];
            if prompt.max_call > 0 {
                actions.push(("sched_hangup", format!("+{} normal_clearing", prompt.max_call)));
            }
            actions.extend([
                action("sleep", "500"),
                action("playback", "ivr/ivr-welcome.wav"),
                action("sleep", "200"),
            ]);
            actions.extend(ask(prompt));
            ("match_did_and_prompt_for_pin", actions)
        }
        DialInAnswer::AskAgain => {
            let mut actions = vec![action("playback", "conference/conf-bad-pin.wav"), action("sleep", "500")];
            actions.extend(ask(prompt));
            ("reprompt_for_pin", actions)
        }
        DialInAnswer::Bridge { meeting, pin, host } => {
            let caller = call.map_or("", |call| call.caller.as_str());
            let actions = vec![
                ("set", format!("meeting_id={}", inert(meeting))),
                ("set", format!("effective_caller_id_name={}", inert(caller))),
                ("bridge", format!("sofia/external/{pin}@{host}")),
            ];
            ("bridge_to_bbb_server", actions)
        }
        DialInAnswer::Unreachable => {
            let actions = vec![
                action("playback", "ivr/ivr-please_try_again.wav"),
                action("hangup", "NORMAL_TEMPORARY_FAILURE"),
            ];
            ("server_unreachable", actions)
        }
    };
    match call {
        Some(call) => extension(name, &call.destination, &actions),
        None => not_found(),
    }
}

/// Returns the actions that prompt for a PIN, at most three times, and send it in a new request.
fn ask(prompt: DialInPrompt) -> [Action<'static>; 2] {
    let DialInPrompt { pin_min, pin_max, .. } = prompt;
    let digits = format!(
        r"{pin_min} {pin_max} 3 7000 # conference/conf-enter_conf_pin.wav conference/conf-bad-pin.wav pin \d+"
    );
    [("play_and_get_digits", digits), ("transfer", "${pin} XML public".to_owned())]
}

/// Returns a text without the characters by which `FreeSWITCH` expands variables and runs commands.
/// Callers and names of meetings must not be able to run anything there.
fn inert(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).map(|c| if matches!(c, '$' | '\\') { '_' } else { c }).collect()
}

fn extension(name: &str, destination: &str, actions: &[Action<'_>]) -> String {
    let mut xml = head();
    let expression = format!("^{}$", literally(destination));
    xml.push_str("  <section name=\"dialplan\" description=\"Usher\">\n    <context name=\"public\">\n");
    let _ = writeln!(xml, "      <extension name=\"{name}\">");
    xml.push_str("        <condition field=\"destination_number\" expression=\"");
    push_escaped(&mut xml, &expression);
    xml.push_str("\">\n");
    for (application, data) in actions {
        let _ = write!(xml, "          <action application=\"{application}\"");
        if !data.is_empty() {
            xml.push_str(" data=\"");
            push_escaped(&mut xml, data);
            xml.push('"');
        }
        xml.push_str("/>\n");
    }
    xml.push_str("        </condition>\n      </extension>\n    </context>\n  </section>\n</document>\n");
    xml
}

fn not_found() -> String {
    head() + "  <section name=\"result\">\n    <result status=\"not found\"/>\n  </section>\n</document>\n"
}

fn head() -> String {
    "<?xml version=\"1.0\" encoding=\"UTF-8\" standalone=\"no\"?>\n<document type=\"freeswitch/xml\">\n"
        .to_owned()
}

/// Returns a regular expression that matches exactly `text`.
fn literally(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars().filter(|c| !c.is_control()) {
        if c.is_ascii() && !c.is_ascii_alphanumeric() {
            out.push('\\');
        }
        out.push(c);
    }
    out
}
