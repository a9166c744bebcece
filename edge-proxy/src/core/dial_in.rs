//! Callers by telephone. A `FreeSWITCH` in front of the fleet sends a request for each call by its
//! `mod_xml_curl` to `/fsapi`, and the answer says how to treat the call (ADR 14). Requests and
//! answers are those of Scalelite, so that its telephone system works unchanged.
//! docs/operate/voice.md lists the differences and their reasons.

mod plan;

use base64::{Engine, prelude::BASE64_STANDARD};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use usher_bbb::{query::RawQuery, secret::Secret};
use usher_model::voice::VoiceBridge;

pub use plan::{DialInAnswer, DialInPrompt, document};

/// The path of the requests.
pub const PATH: &str = "/fsapi";
/// The user name of the requests.
const USER: &str = "fsapi";
/// The only section of `FreeSWITCH`'s configuration that is answered.
const DIAL_PLAN: &str = "dialplan";
/// The longest number or PIN that is read, in characters. Real numbers are shorter.
const NUMBER_MAX: usize = 64;
/// The longest name of a caller that is shown, in characters.
const NAME_MAX: usize = 128;
/// The number of final digits of a telephone number that are hidden.
const HIDDEN_DIGITS: usize = 4;
/// The text shown in place of a name or number that the caller hides.
const UNAVAILABLE: &str = "Unavailable";

/// A call by telephone for which `FreeSWITCH` requests instructions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DialInCall {
    /// The dialled number; after a PIN was typed, the PIN.
    pub destination: String,
    /// The PIN, once the caller has typed it.
    pub pin: Option<String>,
    /// The name of the caller in the meeting.
    pub caller: String,
}

impl DialInCall {
    /// Reads the form that `FreeSWITCH` sends. Returns `None` if the form does not request
    /// instructions for a call.
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

/// Returns whether the value of an `Authorization` header contains the password.
pub fn is_authorized(header: Option<&str>, password: &Secret) -> bool {
    let given = header.and_then(|value| {
        let (scheme, rest) = value.trim().split_once(' ')?;
        scheme.eq_ignore_ascii_case("basic").then(|| BASE64_STANDARD.decode(rest.trim()).ok())?
    });
    let expected = format!("{USER}:{}", password.expose());
    // Hashes are compared, so that the duration reveals neither the password nor its length.
    let hash = |bytes: &[u8]| Sha256::digest(bytes);
    given.is_some_and(|given| bool::from(hash(&given).ct_eq(&hash(expected.as_bytes()))))
}

/// Returns the voice bridges that a PIN can stand for, the likeliest first: the PIN itself, and
/// those of the meetings of which it can be a breakout room's number. A server forms the number of
/// a breakout room from that of its meeting and a sequence number.
pub fn numbers(pin: &str) -> impl Iterator<Item = VoiceBridge> {
    let room = |digits: usize| {
        let (number, room) = pin.split_at_checked(pin.len().checked_sub(digits)?)?;
        let is_room = room.bytes().all(|byte| byte.is_ascii_digit()) && !room.starts_with('0');
        VoiceBridge::parse(number).filter(|_| is_room)
    };
    [VoiceBridge::parse(pin), room(1), room(2)].into_iter().flatten()
}

/// Returns the shown name of a caller: a telephone number without its last digits, a name
/// unchanged, and neither if the caller hides it.
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
