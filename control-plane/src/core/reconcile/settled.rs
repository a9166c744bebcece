//! The usual poll: the server lists exactly the meetings of its records. A large fleet makes a
//! hundred polls a second, so that such a poll is recognised before any index is built.

use foldhash::{HashSet, HashSetExt};
use usher_model::{
    id::{InternalMeetingId, ServerId},
    scope::is_altered,
    server::{SampledMeeting, ServerSample},
};

use super::ends_on_return;
use crate::core::fleet::{Fleet, FleetServer};

/// Returns whether the list of a poll agrees with the records and zombies of its server, so that no
/// work follows from it. `false` proves nothing.
pub(super) fn is_settled(fleet: &Fleet, server: &FleetServer, sample: &ServerSample) -> bool {
    let id = server.id();
    if fleet.record_count_on(id) != sample.meetings.len()
        || fleet.zombies_on(id).next().is_some()
        || fleet.aliases_of(id).next().is_some()
        || ends_on_return(fleet, server)
    {
        return false;
    }
    // As many different instances as records, each in a record of this server: no record is left.
    let mut instances: HashSet<&InternalMeetingId> = HashSet::with_capacity(sample.meetings.len());
    let mut is_new = |meeting| instances.insert(meeting);
    sample.meetings.iter().all(|meeting| agrees(fleet, id, meeting) && is_new(&meeting.internal_id))
}

/// Returns whether a listed meeting is that of a record of the server, with the voice bridge of the
/// record if Usher assigns bridges.
fn agrees(fleet: &Fleet, server: &ServerId, meeting: &SampledMeeting) -> bool {
    let Some(key) = &meeting.key else { return false };
    let Some(record) = fleet.record(key).map(|stored| &stored.value) else { return false };
    let bridge_agrees = || {
        meeting.voice_bridge.is_none_or(|said| record.voice_bridge == Some(said))
            || record.breakout
            || fleet.voice_range(&key.tenant).is_none()
    };
    record.server == *server
        && record.runs(&meeting.internal_id)
        && !meeting.breakout
        && !is_altered(meeting.external_id.as_str(), meeting.internal_id.as_str())
        && fleet.listers_of(&meeting.internal_id).all(|lister| lister == server)
        && bridge_agrees()
}
