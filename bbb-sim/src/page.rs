//! The pages that a browser shows after joining: the user, the meeting and the server.

use usher_bbb::reply::xml::push_escaped;

use crate::memory::{MeetingUser, ServerMeeting};

/// Returns the page of one session.
pub(crate) fn session(server: &str, meeting: &ServerMeeting, user: &MeetingUser) -> String {
    let waiting = if user.guest_waits { " and waits to be let in" } else { "" };
    page(
        &format!("{} in {}", user.full_name, meeting.name),
        &[
            ("who", &user.full_name),
            ("role", user.role.name()),
            ("meeting", &meeting.name),
            ("meetingID", &meeting.external_id),
            ("internal id", &meeting.internal_id),
            ("server", server),
        ],
        &format!(
            "{} joined “{}” as {}{waiting}, on the simulated server {server}.",
            user.full_name,
            meeting.name,
            user.role.name().to_lowercase()
        ),
    )
}

/// Returns the page for a session that is unknown or has ended.
pub(crate) fn no_session(server: &str) -> String {
    page("No session", &[("server", server)], "There is no such session here, or its meeting has ended.")
}

/// Returns the front page of the server.
pub(crate) fn front(server: &str) -> String {
    page(server, &[("server", server)], "This is a simulated BigBlueButton server.")
}

fn page(title: &str, facts: &[(&str, &str)], sentence: &str) -> String {
    let mut html = String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>");
    push_escaped(&mut html, title);
    html.push_str("</title></head>\n<body>\n<h1>");
    push_escaped(&mut html, title);
    html.push_str("</h1>\n<p>");
    push_escaped(&mut html, sentence);
    html.push_str("</p>\n<dl>\n");
    for (term, fact) in facts {
        html.push_str("<dt>");
        push_escaped(&mut html, term);
        html.push_str("</dt><dd>");
        push_escaped(&mut html, fact);
        html.push_str("</dd>\n");
    }
    html.push_str("</dl>\n</body>\n</html>\n");
    html
}
