//! The calls `publishRecordings`, `updateRecordings` and `deleteRecordings`. They succeed if at
//! least one of the ids exists.

use usher_bbb::reply::Refusal;

use super::{entries, metadata};
use crate::{
    calls::{ApiAnswer, Context},
    recording::SimState,
    request::Params,
};

pub(in crate::calls) fn publish(context: &mut Context<'_>, params: &Params) -> ApiAnswer {
    let said = params.get("publish").unwrap_or_default();
    let publish = params.is_true("publish");
    let now = context.now_ms;
    let found = context.world.change_recordings(&ids(params), now, |recording| recording.publish(publish));
    done(found, "published", said)
}

pub(in crate::calls) fn delete(context: &mut Context<'_>, params: &Params) -> ApiAnswer {
    let found = context.world.change_recordings(&ids(params), context.now_ms, |recording| {
        recording.state = SimState::Deleted;
    });
    done(found, "deleted", "true")
}

pub(in crate::calls) fn update(context: &mut Context<'_>, params: &Params) -> ApiAnswer {
    let found = context.world.change_recordings(&ids(params), context.now_ms, |recording| {
        for (key, value) in metadata(params) {
            recording.update(&key, value);
        }
    });
    done(found, "updated", "true")
}

fn ids(params: &Params) -> Vec<&str> {
    entries(params.get("recordID").unwrap_or_default())
}

/// Returns the answer on one line, with `said`, the value of the request, unescaped as BBB repeats
/// it.
fn done(found: usize, what: &str, said: &str) -> ApiAnswer {
    if found == 0 {
        return Refusal::RECORDINGS_NOT_FOUND.into();
    }
    ApiAnswer::Xml(format!("<response><returncode>SUCCESS</returncode><{what}>{said}</{what}></response>"))
}
