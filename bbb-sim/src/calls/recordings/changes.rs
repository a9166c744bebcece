//! The calls `publishRecordings`, `updateRecordings` and `deleteRecordings`. They succeed if at
//! least one of the ids exists.

use usher_bbb::reply::Refusal;

use super::selection::{entries, metadata};
use crate::{answer::ApiAnswer, memory::ServerMemory, recording::SimRecordingState, request::ApiParams};

pub(in crate::calls) fn publish(memory: &mut ServerMemory, params: &ApiParams, now_ms: u64) -> ApiAnswer {
    let given = params.get("publish").unwrap_or_default();
    let publish = params.is_true("publish");
    let found = memory.change_recordings(&ids(params), now_ms, |recording| recording.publish(publish));
    done(found, "published", given)
}

pub(in crate::calls) fn delete(memory: &mut ServerMemory, params: &ApiParams, now_ms: u64) -> ApiAnswer {
    let found = memory.change_recordings(&ids(params), now_ms, |recording| {
        recording.state = SimRecordingState::Deleted;
    });
    done(found, "deleted", "true")
}

pub(in crate::calls) fn update(memory: &mut ServerMemory, params: &ApiParams, now_ms: u64) -> ApiAnswer {
    let found = memory.change_recordings(&ids(params), now_ms, |recording| {
        for (key, value) in metadata(params) {
            recording.update(&key, value);
        }
    });
    done(found, "updated", "true")
}

fn ids(params: &ApiParams) -> Vec<&str> {
    entries(params.get("recordID").unwrap_or_default())
}

/// Returns the answer on one line, with `given`, the value of the request, unescaped as BBB repeats
/// it.
fn done(found: usize, element: &str, given: &str) -> ApiAnswer {
    if found == 0 {
        return Refusal::RECORDINGS_NOT_FOUND.into();
    }
    ApiAnswer::Xml(format!(
        "<response><returncode>SUCCESS</returncode><{element}>{given}</{element}></response>"
    ))
}
