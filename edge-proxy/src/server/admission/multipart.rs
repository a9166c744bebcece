//! `multipart/form-data` bodies of calls whose parameters may come as a form. BBB includes neither kind
//! of body in the checksum (wire-contract 1.5), so that parts count exactly where a form counts.

use std::{convert::Infallible, future::ready};

use bytes::Bytes;
use futures::stream::once;
use multer::Multipart;
use usher_bbb::query::encode;

use crate::core::limits::PARAMETERS_MAX;
use crate::server::admission::body::BodyError;

/// Most parts that are read, files included: as many as a request may have parameters.
const PARTS_MAX: usize = PARAMETERS_MAX;

/// Returns the boundary that a content type names.
pub(in crate::server) fn boundary(content_type: &str) -> Option<String> {
    multer::parse_boundary(content_type).ok().filter(|boundary| !boundary.is_empty())
}

/// Returns the text parts as a form body, in order. Files and parts without a name are left out: they
/// are no parameters.
///
/// # Errors
/// Returns an error if the body is no such multipart body, or has too many parts.
pub(in crate::server) async fn as_form(body: Bytes, boundary: String) -> Result<String, BodyError> {
    let mut parts = Multipart::new(once(ready(Ok::<_, Infallible>(body))), boundary);
    let (mut form, mut count) = (String::new(), 0);
    while let Some(part) = parts.next_field().await.map_err(|_| BodyError::Broken)? {
        count += 1;
        if count > PARTS_MAX {
            return Err(BodyError::TooLarge);
        }
        let Some(name) = part.name().filter(|_| part.file_name().is_none()).map(encode) else { continue };
        let value = part.bytes().await.map_err(|_| BodyError::Broken)?;
        let value = std::str::from_utf8(&value).map_err(|_| BodyError::Broken)?;
        if !form.is_empty() {
            form.push('&');
        }
        form.push_str(&name);
        form.push('=');
        form.push_str(&encode(value));
    }
    Ok(form)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use usher_bbb::query::{RawQuery, decode};

    use super::*;

    const BOUNDARY: &str = "X-b0undary";

    fn read(body: impl Into<Bytes>) -> Result<String, BodyError> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(as_form(body.into(), BOUNDARY.to_owned()))
    }

    fn part(name: &str, more: &str, value: &str) -> String {
        format!(
            "--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\
             Content-Type: text/plain; charset=utf-8\r\n\r\n{value}\r\n"
        )
    }

    fn body(parts: &[String]) -> String {
        format!("{}--{BOUNDARY}--\r\n", parts.concat())
    }

    #[test]
    fn files_are_no_parameters_and_an_odd_boundary_is_none() {
        let parts =
            [part("name", "", "Räume"), part("file", "; filename=\"a.pdf\"", "%PDF"), part("b", "", "")];
        assert_eq!(read(body(&parts)).ok().as_deref(), Some("name=R%C3%A4ume&b="));
        assert_eq!(boundary("multipart/form-data; boundary=\"a b\"").as_deref(), Some("a b"));
        assert_eq!(boundary("multipart/form-data"), None);
    }

    #[test]
    fn a_body_that_is_cut_too_large_or_no_text_is_refused() {
        let whole = body(&[part("name", "", "value")]);
        for length in 1..whole.len() - 4 {
            assert!(read(whole[..length].to_owned()).is_err(), "cut at {length}");
        }
        let many = body(&vec![part("a", "", "b"); PARTS_MAX + 1]);
        assert!(matches!(read(many), Err(BodyError::TooLarge)));
        let mut no_text = body(&[part("name", "", "@")]).into_bytes();
        let at = no_text.iter().rposition(|byte| *byte == b'@').expect("is there");
        no_text[at] = 0xff;
        assert!(matches!(read(no_text), Err(BodyError::Broken)));
    }

    proptest! {
        /// Any names and values arrive as they were sent, and in order.
        #[test]
        fn parts_are_read_as_they_were_written(
            fields in prop::collection::vec(("[a-zA-Z0-9_&=+%ß. -]{1,12}", "(?s).{0,40}"), 0..8),
        ) {
            prop_assume!(fields.iter().all(|(_, value)| !value.contains(BOUNDARY)));
            let parts: Vec<_> = fields.iter().map(|(name, value)| part(name, "", value)).collect();
            let form = read(body(&parts)).expect("is well-formed");
            let found: Vec<_> = RawQuery::new(&form)
                .pairs()
                .filter(|pair| !pair.text.is_empty())
                .map(|pair| (decode(pair.name).into_owned(), decode(pair.value).into_owned()))
                .collect();
            prop_assert_eq!(found, fields);
        }

        /// Reading ends for any bytes, and its result is a form or an error.
        #[test]
        fn nonsense_is_read_or_refused(
            pieces in prop::collection::vec(
                prop_oneof![
                    Just(format!("--{BOUNDARY}")), Just("\r\n".to_owned()), Just("--".to_owned()),
                    Just("Content-Disposition: form-data; name=\"a\"".to_owned()), "(?s).{0,20}",
                ],
                0..20,
            ),
        ) {
            if let Ok(form) = read(pieces.concat()) {
                prop_assert!(form.is_ascii());
                prop_assert!(RawQuery::new(&form).pairs().count() <= PARTS_MAX);
            }
        }
    }
}
