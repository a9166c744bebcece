//! The text that servers before 2.6.18 and 2.7.8 hash for a form body without a query: its parameters, sorted and
//! encoded again as the `URLEncoder` of Java does (wire-contract 1).

use crate::hex;

use super::{RawQuery, encoding::decode};

/// Returns the text that an old client signed for the form `body`.
pub fn rebuilt_form(body: &str) -> String {
    let mut pairs: Vec<_> = RawQuery::new(body)
        .pairs()
        .map(|pair| (decode(pair.name), decode(pair.value)))
        .filter(|(name, _)| name != "checksum")
        .collect();
    pairs.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    let mut out = String::with_capacity(body.len());
    for (name, value) in &pairs {
        if !out.is_empty() {
            out.push('&');
        }
        out.push_str(name);
        out.push('=');
        push_java_encoded(&mut out, value.trim_matches(|c| c <= ' '));
    }
    out
}

fn push_java_encoded(out: &mut String, text: &str) {
    for &byte in text.as_bytes() {
        match byte {
            b' ' => out.push('+'),
            b'-' | b'.' | b'*' | b'_' => out.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => out.push(char::from(byte)),
            _ => hex::push_percent(out, byte),
        }
    }
}
