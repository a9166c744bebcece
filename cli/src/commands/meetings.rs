//! Runs `usher meetings`.

use std::cell::Cell;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use usher_proto::v1;

use super::{confirm, known_names, removed::RemovedRow, watching};
use crate::{
    admin_client::{AdminClient, tenant_name},
    args::{GlobalOptions, MeetingCommand, MeetingRef},
    exit::CommandFailure,
    printer::{OutputPrinter, TableRow},
};

#[derive(Serialize)]
struct MeetingRow {
    tenant: String,
    meeting_id: String,
    server: String,
    state: &'static str,
    detached: bool,
    participants: u32,
    breakout: bool,
    internal_id: String,
    created: Option<String>,
}

impl From<v1::Meeting> for MeetingRow {
    fn from(meeting: v1::Meeting) -> Self {
        Self {
            state: match meeting.state() {
                v1::RecordState::Pending => "pending",
                v1::RecordState::Active => "active",
                v1::RecordState::Ending => "ending",
                v1::RecordState::Unspecified => "unknown",
            },
            server: meeting.server.trim_start_matches("servers/").to_owned(),
            created: meeting.create_time.map(|time| time.to_string()),
            tenant: meeting.tenant.trim_start_matches("tenants/").to_owned(),
            meeting_id: meeting.meeting_id,
            detached: meeting.detached,
            participants: meeting.participants,
            breakout: meeting.breakout,
            internal_id: meeting.internal_id,
        }
    }
}

impl TableRow for MeetingRow {
    const COLUMNS: &'static [&'static str] = &["TENANT", "MEETING", "SERVER", "STATE", "USERS", "CREATED"];

    fn cells(&self) -> Vec<String> {
        let mut state = self.state.to_owned();
        for (said, word) in [(self.breakout, "breakout"), (self.detached, "detached")] {
            state.push_str(&if said { format!(" ({word})") } else { String::new() });
        }
        let created = self.created.clone().unwrap_or_else(|| "-".into());
        let (tenant, meeting, server) = (self.tenant.clone(), self.meeting_id.clone(), self.server.clone());
        vec![tenant, meeting, server, state, self.participants.to_string(), created]
    }
}

/// Returns the resource name of a meeting.
pub(super) fn name(meeting: &MeetingRef) -> String {
    let id = utf8_percent_encode(&meeting.id, NON_ALPHANUMERIC);
    format!("tenants/{}/meetings/{id}", meeting.tenant)
}

/// Runs one of the commands about meetings.
pub(super) async fn run(
    global: &GlobalOptions,
    printer: &mut OutputPrinter,
    command: MeetingCommand,
) -> Result<(), CommandFailure> {
    let admin = AdminClient::connect(global).await?;
    match command {
        MeetingCommand::List { tenant, server, query } => {
            let meetings = admin.meetings_of(tenant.as_deref(), server.as_deref(), &query).await?;
            if meetings.is_empty() {
                known_names::server(&admin, server.as_deref()).await?;
                known_names::tenant(&admin, tenant.as_deref()).await?;
            }
            let meetings: Vec<MeetingRow> = meetings.into_iter().map(MeetingRow::from).collect();
            printer.list(&meetings, "no meetings")
        }
        MeetingCommand::Watch { tenant, filter } => {
            known_names::tenant(&admin, tenant.as_deref()).await?;
            watch(&admin, printer, tenant, filter.unwrap_or_default()).await
        }
        MeetingCommand::Show(meeting) => {
            let request = v1::GetMeetingRequest { name: name(&meeting) };
            let found = admin.meetings().get_meeting(request).await?.into_inner().meeting;
            printer.one(&MeetingRow::from(found.unwrap_or_default()))
        }
        MeetingCommand::End(meeting) => {
            // The command names the present instance (ADR 22): an operator who answers the prompt late must not end a
            // meeting that was created with the same id meanwhile.
            let internal_id = seen(&admin, &meeting).await?;
            confirm::harm(global, &format!("end meeting {}/{}", meeting.tenant, meeting.id))?;
            let request = v1::EndMeetingRequest { name: name(&meeting), internal_id };
            admin.meetings().end_meeting(request).await?;
            printer.note("the server of the meeting received the request to end it");
            Ok(())
        }
        MeetingCommand::Supersede(meeting) => {
            let deed = format!(
                "give the id {}/{} to another server; its users will be in two meetings",
                meeting.tenant, meeting.id
            );
            let internal_id = seen(&admin, &meeting).await?;
            confirm::harm(global, &deed)?;
            let request = v1::SupersedeMeetingRequest { name: name(&meeting), internal_id };
            admin.meetings().supersede_meeting(request).await?;
            printer.note("the next create of this id goes to another server");
            Ok(())
        }
    }
}

/// Writes the meetings, then each change of one.
async fn watch(
    admin: &AdminClient,
    printer: &mut OutputPrinter,
    tenant: Option<String>,
    filter: String,
) -> Result<(), CommandFailure> {
    let parent = tenant_name(tenant.as_deref().unwrap_or("-"));
    let told = Cell::new(None);
    let begin = async |is_anew: bool| {
        let resume = told.get().filter(|_| !is_anew);
        let request = v1::WatchMeetingsRequest { parent: parent.clone(), filter: filter.clone(), resume };
        admin.meetings().watch_meetings(request).await
    };
    watching::follow(printer, begin, |printer, message: v1::WatchMeetingsResponse| {
        told.set(message.revision.or(told.get()));
        for meeting in message.meetings {
            printer.event("meeting", &MeetingRow::from(meeting))?;
        }
        message.removed.iter().try_for_each(|name| printer.event("removed", &RemovedRow::new(name)))
    })
    .await
}

/// Returns the internal id of the instance that has the meeting id now. It is empty until the server of the
/// meeting has confirmed the create.
async fn seen(admin: &AdminClient, meeting: &MeetingRef) -> Result<String, CommandFailure> {
    let request = v1::GetMeetingRequest { name: name(meeting) };
    let found = admin.meetings().get_meeting(request).await?.into_inner().meeting;
    Ok(found.unwrap_or_default().internal_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_id_fits_into_a_name() {
        let meeting = MeetingRef { id: "東 /+%".into(), tenant: "default".into() };
        assert_eq!(name(&meeting), "tenants/default/meetings/%E6%9D%B1%20%2F%2B%25");
    }
}
