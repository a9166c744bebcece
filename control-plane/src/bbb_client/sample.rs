//! Conversion of an answer to `getMeetings` into a sample.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use usher_bbb::parse::{self, ListedMeeting, ServerReply};
use usher_model::{
    id::{InternalMeetingId, MeetingId, TenantId},
    meeting::MeetingKey,
    scope::TenantScope,
    server::{SampledMeeting, ServerSample},
    voice::VoiceBridge,
};

use crate::ports::BbbCallError;

/// Reads a list. Ages are computed by the server's own clock if its answer carries one, so that a
/// wrong clock of the server does not change the age of its meetings.
pub(super) fn read(
    body: &str,
    date: Option<SystemTime>,
    watermark: u64,
    now: SystemTime,
) -> Result<ServerSample, BbbCallError> {
    let listed = match parse::meetings(body).map_err(|error| BbbCallError::Unreadable(error.to_string()))? {
        ServerReply::Success(listed) => listed,
        ServerReply::Failed(failure) => return Err(BbbCallError::Failed(failure.key)),
    };
    let clock = millis(date.unwrap_or(now));
    let meetings = listed.iter().map(|meeting| sampled(meeting, clock)).collect::<Result<_, _>>()?;
    Ok(ServerSample { watermark, taken_at_ms: millis(now), meetings, bbb_version: String::new(), term: 0 })
}

/// A meeting without an internal id makes the whole list unusable: it could not be told from one
/// that ended (I8).
fn sampled(listed: &ListedMeeting<'_>, clock: i64) -> Result<SampledMeeting, BbbCallError> {
    let internal_id = InternalMeetingId::parse(&listed.internal_id)
        .map_err(|_| BbbCallError::Unreadable("a meeting has no internalMeetingID".into()))?;
    let room = room(listed, &internal_id);
    Ok(SampledMeeting {
        named: room.is_some(),
        key: room.or_else(|| key(listed, &internal_id)),
        claim: claim(listed),
        external_id: listed.meeting_id.as_str().into(),
        internal_id,
        participants: listed.participants,
        age_ms: u64::try_from(clock.saturating_sub(listed.create_time_ms)).unwrap_or(0),
        max_users: listed.max_users,
        size_hint: listed.size_hint(),
        breakout: listed.is_breakout,
        voice_bridge: VoiceBridge::parse(&listed.voice_bridge),
        moderator_password: listed.moderator_password.clone(),
    })
}

/// Returns the meeting that Usher's mark names; `None` if the id does not belong to that tenant. An
/// unscoped meeting with the mark was created by a create of Usher that took over another
/// balancer's meeting (ADR 12). A breakout room has its parent's mark and an id of the server's
/// own.
fn key(listed: &ListedMeeting<'_>, instance: &InternalMeetingId) -> Option<MeetingKey> {
    let tenant = TenantId::parse(listed.tenant()?).ok()?;
    let (scope, on_server) = (TenantScope::of(&tenant), listed.meeting_id.as_str());
    // A server squeezes white space in its answers; the mark has the id as it was given.
    let is_exact =
        |id: &MeetingId| scope.is_instance(id.as_str(), instance) || scope.is_unscoped(id.as_str(), instance);
    let exact = listed.exact_id().and_then(|id| MeetingId::parse(&id).ok()).filter(is_exact);
    if let Some(meeting) = exact {
        return Some(MeetingKey::new(tenant, meeting));
    }
    let bare = || (listed.is_breakout || scope.is_unscoped(on_server, instance)).then_some(on_server);
    let meeting = MeetingId::parse(scope.original(on_server).or_else(bare)?).ok()?;
    Some(MeetingKey::new(tenant, meeting))
}

/// Returns the breakout room that the mark names by its application's id (ADR 15). A room that the
/// server created has its parent's metadata too, so only an instance of that very id is meant.
fn room(listed: &ListedMeeting<'_>, instance: &InternalMeetingId) -> Option<MeetingKey> {
    let (tenant, room) = (TenantId::parse(listed.tenant()?).ok()?, listed.room()?);
    let scope = TenantScope::of(&tenant);
    let mut ids = [Some(room.into()), listed.exact_id()].into_iter().flatten();
    let id = ids.find(|id| listed.is_breakout && scope.is_instance(id, instance))?;
    Some(MeetingKey::new(tenant, MeetingId::parse(&id).ok()?))
}

fn claim(listed: &ListedMeeting<'_>) -> Option<TenantId> {
    if listed.tenant().is_some() {
        return None; // a mark of Usher's own meeting; the application's other metadata does not count
    }
    TenantId::parse(listed.scalelite_tenant()?).ok()
}

fn millis(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Reads an HTTP date in the form `Sun, 06 Nov 1994 08:49:37 GMT`; the two obsolete forms are not
/// read.
pub(super) fn http_date(text: &str) -> Option<SystemTime> {
    let mut words = text.split_once(", ")?.1.split(' ');
    let day: u64 = words.next()?.parse().ok()?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as u64;
    let year: u64 = words.next()?.parse().ok()?;
    let mut clock = words.next()?.split(':').map(str::parse::<u64>);
    let (hour, minute, second) = (clock.next()?.ok()?, clock.next()?.ok()?, clock.next()?.ok()?);
    if !(1970..=9999).contains(&year) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970 in the proleptic Gregorian calendar, years counted from March.
    let (years, months) = if month >= 2 { (year, month - 2) } else { (year - 1, month + 10) };
    let days = years * 365 + years / 4 - years / 100 + years / 400 + (months * 306 + 5) / 10 + day - 1;
    let since = (days.checked_sub(719_468)?) * 86_400 + hour * 3_600 + minute * 60 + second;
    Some(UNIX_EPOCH + Duration::from_secs(since))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s2_create_times_are_milliseconds_and_moderators_are_counted_once() {
        let body = "<response><returncode>SUCCESS</returncode><meetings><meeting>\
            <meetingName>A</meetingName><meetingID>a</meetingID>\
            <internalMeetingID>0123456789012345678901234567890123456789-1700000000000</internalMeetingID>\
            <createTime>1700000000000</createTime>\
            <createDate>Tue Nov 14 22:13:20 UTC 2023</createDate>\
            <participantCount>1,007</participantCount><listenerCount>3</listenerCount>\
            <voiceParticipantCount>4</voiceParticipantCount><videoCount>2</videoCount>\
            <moderatorCount>6</moderatorCount><maxUsers>0</maxUsers><isBreakout>false</isBreakout>\
            </meeting></meetings></response>";
        let now = UNIX_EPOCH + Duration::from_millis(1_700_000_090_500);
        let sample = read(body, None, 7, now).expect("is readable");
        assert_eq!(sample.watermark, 7);
        let [meeting] = sample.meetings.as_slice() else { panic!("{sample:?}") };
        assert_eq!((meeting.participants, meeting.age_ms), (1_007, 90_500));
    }

    #[test]
    fn a_marked_meeting_is_known_by_the_id_its_tenant_gave_it() {
        let listed = |id: &str, tenant: &str| ListedMeeting {
            meeting_id: id.into(),
            metadata: vec![("usher-tenant".into(), tenant.into())],
            ..ListedMeeting::default()
        };
        let named = |id, tenant, instance: &str| {
            let instance = InternalMeetingId::parse(instance).expect("is an id");
            key(&listed(id, tenant), &instance).map(|key| key.to_string())
        };
        let name = |id, tenant| named(id, tenant, "i-5");
        assert_eq!(name("room", "default").as_deref(), Some("default/room"));
        assert_eq!(name("school~room", "school").as_deref(), Some("school/room"));
        assert_eq!(name("default~school~room", "default").as_deref(), Some("default/school~room"));
        for (id, tenant) in [("school~room", "default"), ("room", "school"), ("other~room", "school")] {
            assert_eq!(name(id, tenant), None, "{id} of {tenant}");
        }
        // SHA-1 of `room`: Usher's create took over another balancer's meeting.
        let bare = "27a5a05c01ee6e7b614f4055d6908eaee91d9c95-5";
        assert_eq!(named("room", "school", bare).as_deref(), Some("school/room"));
    }

    #[test]
    fn a_meeting_whose_id_the_server_squeezed_is_known_by_its_mark() {
        let listed = |id: &str, exact: &str| ListedMeeting {
            meeting_id: id.into(),
            metadata: vec![("usher-tenant".into(), "school".into()), ("usher-id".into(), exact.into())],
            ..ListedMeeting::default()
        };
        // SHA-1 of `school~a  b` and of `school~a b`.
        let (two, one) =
            ("25e1ceefd8efedf4dc503eb7a2711f2746e1b328-5", "1fe2c8cb082bd32e89e0ed1c04c6986c7bfffa26-5");
        let named = |exact, instance: &str| {
            let instance = InternalMeetingId::parse(instance).expect("is an id");
            key(&listed("school~a b", exact), &instance).map(|key| key.to_string())
        };
        assert_eq!(named("a%20%20b", two).as_deref(), Some("school/a  b"));
        assert_eq!(named("a%20%20b", one).as_deref(), Some("school/a b"), "the mark is of another meeting");
    }

    #[test]
    fn a_breakout_room_of_an_application_is_known_by_the_id_it_gave_it() {
        let listed = |breakout, tenant: &str, room: &str| ListedMeeting {
            meeting_id: "of-the-servers-own".into(),
            is_breakout: breakout,
            metadata: vec![("usher-tenant".into(), tenant.into()), ("usher-room".into(), room.into())],
            ..ListedMeeting::default()
        };
        // SHA-1 of `school~room` and of `room`.
        let (scoped, plain) =
            ("044cbd4b3224b80a548469d0940f61cbb37f658b-5", "27a5a05c01ee6e7b614f4055d6908eaee91d9c95-5");
        let named = |listed: ListedMeeting<'_>, instance: &str| {
            let instance = InternalMeetingId::parse(instance).expect("is an id");
            room(&listed, &instance).map(|key| key.to_string())
        };
        assert_eq!(named(listed(true, "school", "room"), scoped).as_deref(), Some("school/room"));
        assert_eq!(named(listed(true, "default", "room"), plain).as_deref(), Some("default/room"));
        assert_eq!(named(listed(true, "school", "room"), plain), None, "it is another's");
        assert_eq!(named(listed(true, "school", "other"), scoped), None, "a server's own, with its parent's");
        assert_eq!(named(listed(false, "school", "room"), scoped), None);
    }

    #[test]
    fn scalelites_metadata_counts_if_the_mark_is_missing() {
        let listed = |metadata: &[(&str, &str)]| ListedMeeting {
            metadata: metadata.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect(),
            ..ListedMeeting::default()
        };
        let both = [("tenant-id", "3f2a"), ("tenant-name", "school")];
        assert_eq!(claim(&listed(&both)).map(|tenant| tenant.to_string()).as_deref(), Some("school"));
        assert_eq!(claim(&listed(&both[1..])), None, "any application may say so");
        assert_eq!(claim(&listed(&[both[0], both[1], ("usher-tenant", "default")])), None, "it is ours");
    }

    #[test]
    fn http_dates_are_read() {
        let seconds = |text| {
            http_date(text).and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map(|since| since.as_secs())
        };
        assert_eq!(seconds("Thu, 01 Jan 1970 00:00:00 GMT"), Some(0));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(seconds("Thu, 29 Feb 2024 23:59:59 GMT"), Some(1_709_251_199));
        for bad in
            ["", "yesterday", "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994", "Sun, x Nov y z GMT"]
        {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
