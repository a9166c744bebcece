//! The refusal of a join, which may redirect the browser.

use std::fmt::Write as _;

use usher_bbb::{query::RawQuery, reply::Refusal};

use super::call_reply::CallReply;
use crate::metrics::RequestOutcome;

/// Refuses a join whose checksum is valid: by a redirect to the address that the application gives for
/// errors, or as XML (wire-contract 5). A missing role or password is always refused as XML.
pub(in crate::server) fn join_refused(parameters: &str, refusal: &Refusal) -> CallReply {
    let query = RawQuery::new(parameters);
    let target = ["errorRedirectUrl", "logoutURL"]
        .into_iter()
        .filter_map(|name| query.first(name))
        .find(|url| is_web_address(url));
    match target {
        Some(target) if refusal.key != Refusal::JOIN_ROLE.key => {
            CallReply::redirect(with_errors(&target, refusal), RequestOutcome::refused)
        }
        _ => CallReply::refused(refusal),
    }
}

fn is_web_address(url: &str) -> bool {
    url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

/// Returns `url` with the parameter `errors=[{"key":…,"message":…}]`, percent-encoded as BBB encodes it.
fn with_errors(url: &str, refusal: &Refusal) -> String {
    let (address, fragment) = url.split_once('#').map_or((url, None), |(a, f)| (a, Some(f)));
    let mut location = String::with_capacity(url.len() + 128);
    push_quoted(&mut location, address, "!#$%&'()*+,/:;=?@[]~-._");
    location.push(if address.contains('?') { '&' } else { '?' });
    location.push_str("errors=");
    let errors = format!(r#"[{{"key":"{}","message":"{}"}}]"#, refusal.key, refusal.message);
    push_quoted(&mut location, &errors, "[]:,-._~'()");
    if let Some(fragment) = fragment {
        location.push('#');
        push_quoted(&mut location, fragment, "!$%&'()*+,/:;=?@~-._");
    }
    location
}

/// Appends `text`, and percent-encodes every byte but alphanumerics and those in `plain`.
fn push_quoted(out: &mut String, text: &str, plain: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || plain.contains(char::from(byte)) && byte.is_ascii() {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn location(parameters: &str, refusal: &Refusal) -> Option<String> {
        let reply = join_refused(parameters, refusal);
        reply.response.headers().get("location").map(|value| value.to_str().unwrap().to_owned())
    }

    #[test]
    fn refusals_go_where_the_application_wants_them() {
        let expected = "https://app.test/?errors=[%7B%22key%22:%22invalidMeetingIdentifier%22,\
                        %22message%22:%22A%20meeting%20with%20that%20ID%20does%20not%20exist%22%7D]";
        let given =
            "meetingID=x&logoutURL=https%3A%2F%2Fother.test%2F&errorRedirectUrl=https%3A%2F%2Fapp.test%2F";
        assert_eq!(location(given, &Refusal::INVALID_MEETING).as_deref(), Some(expected));
        let with_query =
            location("logoutURL=https%3A%2F%2Fapp.test%2Fx%3Fa%3D1%23f", &Refusal::INVALID_MEETING);
        let with_query = with_query.unwrap();
        assert!(with_query.starts_with("https://app.test/x?a=1&errors=[") && with_query.ends_with("]#f"));
    }

    #[test]
    fn refusals_are_xml_if_no_address_is_usable() {
        for parameters in
            ["", "logoutURL=javascript%3Aalert(1)", "errorRedirectUrl=%2F%2Fevil.test", "errorRedirectUrl="]
        {
            assert_eq!(location(parameters, &Refusal::INVALID_MEETING), None, "{parameters}");
        }
        assert_eq!(location("logoutURL=https%3A%2F%2Fapp.test", &Refusal::JOIN_ROLE), None);
    }

    #[test]
    fn an_address_cannot_break_out_of_its_header() {
        let split =
            location("logoutURL=https%3A%2F%2Fapp.test%2F%0d%0aSet-Cookie%3Ax", &Refusal::INVALID_MEETING);
        assert!(!split.unwrap_or_default().contains(['\r', '\n']));
    }
}
