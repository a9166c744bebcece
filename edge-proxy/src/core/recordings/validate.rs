//! Parameters of recording calls that a server would refuse, refused here in its words.

use usher_bbb::{call::Call, query::RawQuery, reply::Refusal};

/// Checks the parameters of a call about recordings.
///
/// # Errors
/// The refusal that the caller gets.
pub fn check(call: Call, parameters: &str) -> Result<(), Refusal> {
    let query = RawQuery::new(parameters);
    // Which of several a server would take is not ours to guess.
    for (name, refusal) in
        [("recordID", Refusal::RECORD_ID_INVALID), ("meetingID", Refusal::MEETING_ID_INVALID)]
    {
        if query.count(name) > 1 {
            return Err(refusal);
        }
    }
    let lacks = |name: &str| query.first(name).is_none_or(|value| value.trim().is_empty());
    match call {
        Call::PublishRecordings | Call::DeleteRecordings | Call::UpdateRecordings if lacks("recordID") => {
            Err(Refusal::MISSING_RECORD_ID)
        }
        Call::GetRecordingTextTracks if lacks("recordID") => Err(Refusal::MISSING_RECORD_ID),
        Call::PublishRecordings if lacks("publish") => Err(Refusal::MISSING_PUBLISH),
        Call::PutRecordingTextTrack => {
            if let Some(name) = ["recordID", "kind", "lang"].into_iter().find(|name| lacks(name)) {
                return Err(Refusal::missing_param(name));
            }
            match query.first("kind").unwrap_or_default().as_ref() {
                "subtitles" | "captions" => Ok(()),
                other => Err(Refusal::invalid_kind(other)),
            }
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_call_needs_is_asked_for_in_bbbs_words() {
        for (call, parameters, key) in [
            (Call::GetRecordings, "meetingID=&recordID=", ""),
            (Call::GetRecordings, "meetingID=a&meeting%49D=b", "validationError"),
            (Call::GetRecordings, "recordID=a&recordID=b", "validationError"),
            (Call::PublishRecordings, "publish=true", "missingParamRecordID"),
            (Call::PublishRecordings, "recordID=a", "missingParamPublish"),
            (Call::PublishRecordings, "recordID=a&publish=x", ""),
            (Call::DeleteRecordings, "recordID=", "missingParamRecordID"),
            (Call::UpdateRecordings, "meta_a=b", "missingParamRecordID"),
            (Call::GetRecordingTextTracks, "", "missingParamRecordID"),
            (Call::PutRecordingTextTrack, "recordID=a&lang=en", "paramError"),
            (Call::PutRecordingTextTrack, "recordID=a&lang=en&kind=noise", "invalidKind"),
            (Call::PutRecordingTextTrack, "recordID=a&lang=en&kind=captions", ""),
        ] {
            let found = check(call, parameters).err().map_or("", |refusal| refusal.key);
            assert_eq!(found, key, "{call} {parameters}");
        }
    }
}
