//! Meetings as XML.

use usher_bbb::reply::xml::XmlDocument;

use crate::{
    java_map,
    memory::{MeetingUser, ServerMeeting, ServerMemory},
    options::BbbVersion,
    time,
};

/// Writes the elements of a meeting in the answer of `create`.
pub(crate) fn created(xml: &mut XmlDocument, meeting: &ServerMeeting) {
    let parent = meeting.breakout.as_ref().map_or("bbb-none", |breakout| &breakout.parent_internal_id);
    xml.leaf("meetingID", squeezed(&meeting.external_id))
        .leaf("internalMeetingID", &meeting.internal_id)
        .leaf("parentMeetingID", parent)
        .leaf("attendeePW", &meeting.attendee_password)
        .leaf("moderatorPW", &meeting.moderator_password)
        .leaf("createTime", meeting.create_time_ms.to_string())
        .leaf("voiceBridge", format!("{:05}", meeting.voice_bridge))
        .leaf("dialNumber", &meeting.dial_number)
        .leaf("createDate", time::java_date(meeting.create_time_ms))
        .leaf("hasUserJoined", truth(meeting.has_user_joined()))
        .leaf("duration", meeting.duration.to_string())
        .leaf("hasBeenForciblyEnded", truth(meeting.ended_at_ms.is_some()));
}

/// Writes the elements of a meeting in the answer of `getMeetingInfo`, or of `getMeetings` if
/// `in_list`.
pub(crate) fn meeting(xml: &mut XmlDocument, memory: &ServerMemory, meeting: &ServerMeeting, in_list: bool) {
    let count = |number: usize| match (in_list, memory.version()) {
        (true, version) if version < BbbVersion::V3_0 => with_commas(number),
        _ => number.to_string(),
    };
    xml.leaf("meetingName", squeezed(&meeting.name))
        .leaf("meetingID", squeezed(&meeting.external_id))
        .leaf("internalMeetingID", &meeting.internal_id)
        .leaf("createTime", meeting.create_time_ms.to_string())
        .leaf("createDate", time::java_date(meeting.create_time_ms))
        .leaf("voiceBridge", format!("{:05}", meeting.voice_bridge))
        .leaf("dialNumber", &meeting.dial_number)
        .leaf("attendeePW", &meeting.attendee_password)
        .leaf("moderatorPW", &meeting.moderator_password)
        .leaf("running", truth(meeting.is_running()))
        .leaf("duration", meeting.duration.to_string())
        .leaf("hasUserJoined", truth(meeting.has_user_joined()))
        .leaf("recording", truth(meeting.record))
        .leaf("hasBeenForciblyEnded", truth(meeting.ended_at_ms.is_some()))
        .leaf("startTime", meeting.start_time_ms.to_string())
        .leaf("endTime", meeting.ended_at_ms.unwrap_or_default().to_string())
        .leaf("participantCount", count(meeting.participants()))
        .leaf("listenerCount", "0")
        .leaf("voiceParticipantCount", "0")
        .leaf("videoCount", "0")
        .leaf("maxUsers", count(meeting.max_participants))
        .leaf("moderatorCount", count(meeting.moderators()));
    xml.element("attendees", |xml| {
        for user in meeting.present_users() {
            xml.element("attendee", |xml| attendee(xml, user));
        }
    });
    xml.element("metadata", |xml| {
        for key in java_map::in_order(meeting.metadata.keys().map(String::as_str)) {
            xml.leaf(key, squeezed(&meeting.metadata[key]));
        }
    });
    xml.leaf("isBreakout", truth(meeting.breakout.is_some()));
    if let Some(breakout) = &meeting.breakout {
        xml.leaf("parentMeetingID", &breakout.parent_internal_id)
            .leaf("sequence", breakout.sequence.to_string())
            .leaf("freeJoin", truth(breakout.free_join));
    }
    let mut rooms = memory.breakouts_of(&meeting.internal_id).peekable();
    if rooms.peek().is_some() {
        xml.element("breakoutRooms", |xml| {
            for room in rooms {
                xml.leaf("breakout", squeezed(&room.external_id));
            }
        });
    }
}

fn attendee(xml: &mut XmlDocument, user: &MeetingUser) {
    xml.leaf("userID", squeezed(&user.external_id))
        .leaf("fullName", squeezed(&user.full_name))
        .leaf("role", user.role.name())
        .leaf("isPresenter", truth(user.is_presenter))
        .leaf("isListeningOnly", "false")
        .leaf("hasJoinedVoice", "false")
        .leaf("hasVideo", "false")
        .leaf("clientType", "HTML5");
    if !user.custom_data.is_empty() {
        xml.element("customdata", |xml| {
            for (key, value) in &user.custom_data {
                xml.leaf(key, squeezed(value));
            }
        });
    }
}

fn truth(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Replaces runs of spaces by one space: BBB squeezes a rendered template as a whole, values
/// included.
pub(crate) fn squeezed(text: &str) -> String {
    let mut last_was_space = false;
    text.chars()
        .filter(|c| {
            let again = *c == ' ' && last_was_space;
            last_was_space = *c == ' ';
            !again
        })
        .collect()
}

/// Returns a counter such as `1,234`, as the templates of BBB 2.x print it.
fn with_commas(number: usize) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{squeezed, with_commas};

    #[test]
    fn counters_of_old_servers_have_commas() {
        assert_eq!([7, 999, 1000, 1_234_567].map(with_commas), ["7", "999", "1,000", "1,234,567"]);
    }

    #[test]
    fn runs_of_spaces_become_one() {
        assert_eq!(squeezed("a  b   c d "), "a b c d ");
    }
}
