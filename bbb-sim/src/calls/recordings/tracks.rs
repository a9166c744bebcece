//! The calls `getRecordingTextTracks` and `putRecordingTextTrack`, which answer in JSON.

use serde_json::{Value, json};
use usher_bbb::reply::Refusal;

use crate::{
    answer::ApiAnswer,
    chance,
    memory::ServerMemory,
    recording::SimTrack,
    request::{ApiParams, ApiRequest},
};

pub(in crate::calls) fn get(memory: &mut ServerMemory, base: &str, params: &ApiParams) -> ApiAnswer {
    let id = params.get("recordID").unwrap_or_default().trim();
    match memory.recording_mut(id) {
        None => failed("noRecordings", &format!("No recording found for {id}")),
        Some(recording) if recording.tracks.is_empty() => {
            failed("noCaptionsFound", &format!("No captions found for {id}"))
        }
        Some(recording) => {
            let tracks = recording.tracks.iter().map(|track| {
                let (token, kind, lang) = (chance::lower_alphanumeric(24), &track.kind, &track.lang);
                let href = format!("{base}/bigbluebutton/textTrack/{token}/{id}/{kind}_{lang}.vtt");
                json!({"href": href, "kind": kind, "label": track.label, "lang": lang, "source": "upload"})
            });
            let tracks: Vec<Value> = tracks.collect();
            ApiAnswer::Json(json!({"response": {"returncode": "SUCCESS", "tracks": tracks}}).to_string())
        }
    }
}

/// Returns the refusal of a request that lacks a parameter.
pub(super) fn incomplete(params: &ApiParams) -> Option<Refusal> {
    let lacking = ["recordID", "kind", "lang"].into_iter().find(|name| params.given(name).is_none());
    lacking.map(|name| Refusal::new("paramError", format!("Missing param {name}.")))
}

/// Returns the refusal of a parameter with an invalid value.
fn invalid(params: &ApiParams) -> Option<Refusal> {
    let kind = params.get("kind").unwrap_or_default();
    if !matches!(kind, "subtitles" | "captions") {
        let message = format!("Invalid kind parameter, expected='subtitles|captions' actual={kind}");
        return Some(Refusal::new("invalidKind", message));
    }
    let lang = params.get("lang").unwrap_or_default();
    tag(lang).is_none().then(|| Refusal::new("invalidLang", format!("Malformed lang param, received={lang}")))
}

pub(in crate::calls) fn put(
    memory: &mut ServerMemory,
    request: &ApiRequest,
    params: &ApiParams,
) -> ApiAnswer {
    let text = |name| params.get(name).unwrap_or_default();
    let (id, kind, lang) = (text("recordID"), text("kind"), tag(text("lang")).unwrap_or_default());
    let Some(recording) = memory.recording_mut(id) else {
        return not_put(&Refusal::new("noRecordings", format!("No recording was found for {id}")));
    };
    if let Some(refusal) = invalid(params) {
        return not_put(&refusal);
    }
    let Some(file) = request.file("file").filter(|file| !file.is_empty()) else {
        return not_put(&Refusal::new("empty_uploaded_text_track", "Empty uploaded text track."));
    };
    let label = params.given("label").unwrap_or(&lang).to_owned();
    recording.put_track(SimTrack { kind: kind.to_owned(), lang, label, text: file });
    ApiAnswer::Json(
        json!({"response": {
            "returncode": "SUCCESS", "recordId": id, "messageKey": "upload_text_track_success",
            "message": "Text track uploaded successfully",
        }})
        .to_string(),
    )
}

/// Returns a language tag such as `en-US`, also from `en_US`; `None` if it is malformed.
fn tag(lang: &str) -> Option<String> {
    let lang = lang.replace('_', "-");
    let sound = lang.split('-').enumerate().all(|(index, part)| {
        (2..=8).contains(&part.len())
            && part.bytes().all(|byte| byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit()))
    });
    sound.then_some(lang)
}

fn failed(key: &'static str, message: &str) -> ApiAnswer {
    ApiAnswer::Json(Refusal::new(key, message.to_owned()).to_json())
}

/// Returns a refusal of `putRecordingTextTrack`, which has several lines.
pub(super) fn not_put(refusal: &Refusal) -> ApiAnswer {
    ApiAnswer::Json(refusal.to_json_lines())
}
