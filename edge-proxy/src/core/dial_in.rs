//! Callers by telephone: what a `FreeSWITCH` in front of the fleet asks by its `mod_xml_curl` at
//! `/fsapi`, and what it is told to do with a call. Requests and answers are Scalelite's, so that its
//! telephone system can stay as it is; docs/operate/voice.md says where they differ, and why.

mod plan;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use usher_bbb::{query::RawQuery, secret::Secret};
use usher_model::voice::VoiceBridge;

pub use plan::{DialInAnswer, DialInPrompt, document};

/// Where it is asked.
pub const PATH: &str = "/fsapi";
/// Who asks.
const USER: &str = "fsapi";
/// The one section of `FreeSWITCH`'s configuration that is answered.
const DIAL_PLAN: &str = "dialplan";
/// Longest number or PIN that is looked at; nobody types more.
const NUMBER_MAX: usize = 64;
/// Longest caller's name that is shown.
const NAME_MAX: usize = 128;
/// Digits of a telephone number that are not shown.
const HIDDEN_DIGITS: usize = 4;
/// What is shown of callers who hide who they are.
const UNAVAILABLE: &str = "Unavailable";

/// A call that waits to be told where to go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialInCall {
    /// What was dialled, or, once a PIN was typed, that.
    pub destination: String,
    /// The PIN, once it was typed.
    pub pin: Option<String>,
    /// How the caller is called in the meeting.
    pub caller: String,
}

impl DialInCall {
    /// Reads the form that `FreeSWITCH` sends; none where it asks for something else than what to do with
    /// a call.
    pub fn read(form: &str) -> Option<Self> {
        let form = RawQuery::new(form);
        let field =
            |name| form.first(name).map(|value| value.trim().to_owned()).filter(|value| !value.is_empty());
        let destination = field("Caller-Destination-Number").filter(|number| number.len() <= NUMBER_MAX)?;
        let hides = |name| field(name).is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let name = field("Caller-Caller-ID-Name").unwrap_or_default();
        (field("section")? == DIAL_PLAN).then(|| Self {
            destination,
            pin: field("variable_pin"),
            caller: shown(&name, hides("Caller-Privacy-Hide-Name"), hides("Caller-Privacy-Hide-Number")),
        })
    }
}

/// Tells whether the value of an `Authorization` header gives the password.
pub fn is_authorized(header: Option<&str>, password: &Secret) -> bool {
    let given = header.and_then(|value| {
        let (scheme, rest) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(rest.trim()).ok())?
    });
    let expected = format!("{USER}:{}", password.expose());
    // Of hashes, so that the time it takes tells nothing of the length either.
    let hash = |bytes: &[u8]| Sha256::digest(bytes);
    given.is_some_and(|given| bool::from(hash(&given).ct_eq(&hash(expected.as_bytes()))))
}

/// Returns the numbers by which a PIN may be known, the likeliest first: its own, and those of which it
/// is a breakout room's. A server makes a breakout room's number of its meeting's and the room's own.
pub fn numbers(pin: &str) -> impl Iterator<Item = VoiceBridge> {
    let room = |digits: usize| {
        let (number, room) = pin.split_at_checked(pin.len().checked_sub(digits)?)?;
        let is_room = room.bytes().all(|byte| byte.is_ascii_digit()) && !room.starts_with('0');
        VoiceBridge::parse(number).filter(|_| is_room)
    };
    [VoiceBridge::parse(pin), room(1), room(2)].into_iter().flatten()
}

/// Returns how a caller is called: a telephone number without its last digits, a name as it is, and
/// neither where the caller hides it.
fn shown(name: &str, hides_name: bool, hides_number: bool) -> String {
    let digits = name.strip_prefix('+').unwrap_or(name);
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    match (is_number, hides_name, hides_number) {
        (true, _, true) | (false, true, _) => UNAVAILABLE.to_owned(),
        (true, ..) => {
            let shown = digits.len().saturating_sub(HIDDEN_DIGITS);
            let plus = &name[..name.len() - digits.len()];
            format!("{plus}{}{}", &digits[..shown], "X".repeat(digits.len() - shown))
        }
        (false, ..) if name.is_empty() => UNAVAILABLE.to_owned(),
        (false, ..) => name.chars().take(NAME_MAX).collect(),
    }
}

#[cfg(test)]
mod tests;
