//! Percent-encoding and decoding of names and values.

use std::borrow::Cow;

use crate::{hex, work};

/// Returns `text` percent-encoded: all but `A-Z a-z 0-9 - . _ ~` becomes `%XX`.
pub fn encode(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    push_encoded(&mut out, text);
    out
}

/// Appends the percent-encoded form of `text`.
pub(super) fn push_encoded(out: &mut String, text: &str) {
    work::count(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            hex::push_percent(out, byte);
        }
    }
}

/// Returns parameters in a form that is valid in a request line. Spaces, controls, `"`, `#`, `<`, `>` and bytes that
/// are not ASCII, which a form may have raw, become `%XX`. All other bytes stay, also those that RFC 3986 escapes but
/// clients send raw (`|`, `[`, `{`). The decoded parameters are the same.
pub fn url_safe(parameters: &str) -> Cow<'_, str> {
    work::count(parameters.len());
    let Some(first) = parameters.bytes().position(|byte| !is_url_safe(byte)) else {
        return Cow::Borrowed(parameters);
    };
    let (fine, rest) = parameters.split_at(first);
    let mut out = String::with_capacity(parameters.len() + 16);
    out.push_str(fine);
    for byte in rest.bytes() {
        if is_url_safe(byte) {
            out.push(char::from(byte));
        } else {
            hex::push_percent(&mut out, byte);
        }
    }
    Cow::Owned(out)
}

fn is_url_safe(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"\"#<>".contains(&byte)
}

/// Returns the decoded text: `+` is a space and `%XX` a byte of UTF-8. Other characters stay; bytes that are not UTF-8
/// become U+FFFD.
pub fn decode(text: &str) -> Cow<'_, str> {
    work::count(text.len());
    let bytes = text.as_bytes();
    let Some(first) = bytes.iter().position(|byte| matches!(byte, b'%' | b'+')) else {
        return Cow::Borrowed(text);
    };
    let mut out = Vec::with_capacity(bytes.len());
    out.extend_from_slice(&bytes[..first]);
    let mut rest = &bytes[first..];
    while let [byte, tail @ ..] = rest {
        rest = tail;
        match (byte, tail) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, after @ ..]) => match hex::byte(*high, *low) {
                Some(decoded) => {
                    out.push(decoded);
                    rest = after;
                }
                None => out.push(b'%'),
            },
            (other, _) => out.push(*other),
        }
    }
    Cow::Owned(match String::from_utf8(out) {
        Ok(text) => text,
        Err(error) => String::from_utf8_lossy(error.as_bytes()).into_owned(),
    })
}
