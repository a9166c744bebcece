//! The redirect of a refused `join`.

use std::fmt::Write as _;

use http::Uri;
use usher_bbb::reply::Refusal;

use crate::{answer::ApiAnswer, options::BbbVersion, request::ApiParams};

/// Returns the redirect of the browser with the refusal in the address, to the address that the
/// request gives or to the root of the server. bbb-web does so even with `redirect=false` and with a
/// wrong checksum.
pub(super) fn with_error(
    version: BbbVersion,
    base: &str,
    params: &ApiParams,
    refusal: &Refusal,
) -> ApiAnswer {
    let of_errors = params.given("errorRedirectUrl").filter(|_| version >= BbbVersion::V2_7);
    let given = of_errors.or_else(|| params.given("logoutURL"));
    // An address that is no URI is ignored.
    let target = given.filter(|url| url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some()));
    let target = target.unwrap_or(base);
    let separator = if target.contains('?') { '&' } else { '?' };
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let errors = format!("[{{\"message\":{},\"key\":{}}}]", text(&refusal.message), text(refusal.key));
    ApiAnswer::Redirect(format!("{target}{separator}errors={}", quoted(&errors)))
}

/// Quotes as `java.net.URI` does: characters that a query may contain stay, among them brackets.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        match byte {
            b'"' | b'%' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}' | ..=b' ' | 0x7f.. => {
                // Writing to a string cannot fail.
                let _ = write!(out, "%{byte:02X}");
            }
            _ => out.push(char::from(byte)),
        }
    }
    out
}
