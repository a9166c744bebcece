//! Checks parameters of recording calls that a server would refuse, and refuses them in the
//! server's words.

use usher_bbb::{call::ParameterRules, query::ParameterList, reply::Refusal};

/// Checks the parameters of a call about recordings.
///
/// # Errors
/// The refusal that the caller gets.
pub fn check(rules: ParameterRules, query: &ParameterList<'_>) -> Result<(), Refusal> {
    // A repeated parameter is refused, because servers may differ in the value they use.
    for (name, refusal) in
        [("recordID", Refusal::RECORD_ID_INVALID), ("meetingID", Refusal::MEETING_ID_INVALID)]
    {
        if query.is_repeated(name) {
            return Err(refusal);
        }
    }
    let lacks = |name: &str| query.first(name).is_none_or(|value| value.trim().is_empty());
    match rules {
        ParameterRules::RecordingList
        | ParameterRules::RecordingPublication
        | ParameterRules::OneRecording
            if lacks("recordID") =>
        {
            Err(Refusal::MISSING_RECORD_ID)
        }
        ParameterRules::RecordingPublication if lacks("publish") => Err(Refusal::MISSING_PUBLISH),
        ParameterRules::TextTrack => {
            if let Some(name) = ["recordID", "kind", "lang"].into_iter().find(|name| lacks(name)) {
                return Err(Refusal::missing_param(name));
            }
            match query.first("kind").unwrap_or_default().as_ref() {
                "subtitles" | "captions" => Ok(()),
                other => Err(Refusal::invalid_kind(other)),
            }
        }
        // Everything else that a call about recordings needs is optional.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use usher_bbb::call::ApiCall;

    use super::*;

    #[test]
    fn missing_parameters_are_refused_in_bbbs_words() {
        for (call, parameters, key) in [
            (ApiCall::GetRecordings, "meetingID=&recordID=", ""),
            (ApiCall::GetRecordings, "meetingID=a&meeting%49D=b", "validationError"),
            (ApiCall::GetRecordings, "recordID=a&recordID=b", "validationError"),
            (ApiCall::PublishRecordings, "publish=true", "missingParamRecordID"),
            (ApiCall::PublishRecordings, "recordID=a", "missingParamPublish"),
            (ApiCall::PublishRecordings, "recordID=a&publish=x", ""),
            (ApiCall::DeleteRecordings, "recordID=", "missingParamRecordID"),
            (ApiCall::UpdateRecordings, "meta_a=b", "missingParamRecordID"),
            (ApiCall::GetRecordingTextTracks, "", "missingParamRecordID"),
            (ApiCall::PutRecordingTextTrack, "recordID=a&lang=en", "paramError"),
            (ApiCall::PutRecordingTextTrack, "recordID=a&lang=en&kind=noise", "invalidKind"),
            (ApiCall::PutRecordingTextTrack, "recordID=a&lang=en&kind=captions", ""),
        ] {
            let list = ParameterList::parse(parameters, 10).unwrap();
            let found = check(call.parameter_rules(), &list).err().map_or("", |refusal| refusal.key);
            assert_eq!(found, key, "{call} {parameters}");
        }
    }
}
