//! Reads the answers of the calls about text tracks, which are JSON.

use serde_json::Value;

use super::{element::UnreadableReply, outcome::ReplyHeader};

/// Reads return code, key and text of a JSON answer.
///
/// # Errors
/// The body is not a complete answer.
pub fn json_outcome(body: &str) -> Result<ReplyHeader, UnreadableReply> {
    if body.trim().is_empty() {
        return Err(UnreadableReply::Empty);
    }
    let value: Value = serde_json::from_str(body)
        .map_err(|error| if error.is_eof() { UnreadableReply::Cut } else { UnreadableReply::Malformed })?;
    let response = value.get("response").and_then(Value::as_object).ok_or(UnreadableReply::NotAResponse)?;
    let text = |name: &str| response.get(name).and_then(Value::as_str);
    let returncode = text("returncode").ok_or(UnreadableReply::Missing("returncode"))?;
    Ok(ReplyHeader {
        success: returncode == "SUCCESS",
        key: text("messageKey").unwrap_or_default().to_owned(),
        message: text("message").unwrap_or_default().to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_about_text_tracks_are_read() {
        let failed =
            r#"{"response":{"returncode":"FAILED","messageKey":"noCaptionsFound","message":"No captions"}}"#;
        let expected =
            ReplyHeader { success: false, key: "noCaptionsFound".into(), message: "No captions".into() };
        assert_eq!(json_outcome(failed), Ok(expected));
        let tracks = r#"{"response":{"returncode":"SUCCESS","tracks":[]}}"#;
        assert!(json_outcome(tracks).unwrap().success);
        for length in 0..failed.len() {
            assert!(json_outcome(&failed[..length]).is_err(), "{length}");
        }
        for other in ["<response/>", "{}", "[1]", r#"{"response":1}"#, r#"{"response":{}}"#] {
            assert!(json_outcome(other).is_err(), "{other}");
        }
    }
}
