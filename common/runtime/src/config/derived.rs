//! Defaults that follow from a setting that the operator wrote: an operator who sets a poll interval of two
//! seconds need not know that the timeout of a poll must be shorter.

use std::time::Duration;

use super::{fault::SettingOrigin, loading::Loading};

/// Changes the defaults that would contradict a written setting. The checks examine written settings.
pub(super) fn apply(loading: &mut Loading) {
    let free = |key| loading.origin(key) == SettingOrigin::Default;
    let (deadline_is_free, connect_is_free, create_is_free) =
        (free("health.deadline"), free("health.connect_timeout"), free("meetings.create_timeout"));
    let (upload_is_free, recordings_is_free) =
        (free("meetings.upload_timeout"), free("meetings.recordings_timeout"));
    let settings = &mut loading.settings;
    if deadline_is_free {
        below(&mut settings.health.deadline, settings.health.interval);
    }
    if connect_is_free {
        below(&mut settings.health.connect_timeout, settings.health.deadline);
    }
    if create_is_free {
        below(&mut settings.meetings.create_timeout, settings.health.time_to_offline());
    }
    if upload_is_free {
        let meetings = &mut settings.meetings;
        meetings.upload_timeout =
            meetings.upload_timeout.max(meetings.create_timeout).max(meetings.call_timeout);
    }
    if recordings_is_free {
        let meetings = &mut settings.meetings;
        meetings.recordings_timeout = meetings.recordings_timeout.max(meetings.call_timeout);
    }
}

/// Sets `time` to half of `limit` if it would reach it, in whole milliseconds, the unit in which settings are
/// printed.
fn below(time: &mut Duration, limit: Duration) {
    if *time >= limit && limit > Duration::from_millis(1) {
        *time = Duration::from_millis(u64::try_from((limit / 2).as_millis()).unwrap_or(u64::MAX));
    }
}
