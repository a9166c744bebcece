//! Finds the owner of an event. Two tenants never hear of each other, and no tenant hears of a meeting
//! that Usher does not know. If the owner of an event is unknown, the event is dropped.

use usher_model::{
    id::{InternalMeetingId, MeetingId, ServerId, TenantId},
    meeting::{MeetingKey, RecordState},
    scope::{TenantScope, looks_internal},
};

use super::event::EventFacts;
use crate::core::fleet::Fleet;

/// A meeting that an event is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventOwner {
    /// The meeting, as its application knows it.
    pub meeting: MeetingKey,
    /// Its `meetingID` on the server; empty where the event does not say.
    pub on_server: String,
}

/// Returns the meeting that an event from `server` is of; none when it is of no tenant.
pub fn owner_of(fleet: &Fleet, server: &ServerId, event: &EventFacts) -> Option<EventOwner> {
    let by_instance = || fleet.instance_on(server, event.internal.as_ref()?);
    let Some(external) = event.external.as_deref() else {
        let meeting = by_instance()?;
        if let Some(on_server) = listed_breakout(fleet, server, event) {
            return Some(EventOwner {
                meeting: called(on_server, meeting, event)?,
                on_server: on_server.to_owned(),
            });
        }
        let scope = TenantScope::of(&meeting.tenant);
        let on_server = scope.on_server(meeting.meeting.as_str(), event.internal.as_ref()).to_string();
        return Some(EventOwner { meeting, on_server });
    };
    let found = by_instance()
        .and_then(|meeting| called(external, meeting, event))
        .or_else(|| by_name(fleet, external))
        .or_else(|| of_default(fleet, server, external, event))
        .or_else(|| of_breakout(fleet, server, external, event))?;
    fleet.tenant(&found.tenant)?;
    Some(EventOwner { meeting: found, on_server: external.to_owned() })
}

/// Returns whether the create of the meeting of an event may be under way on `server`, so that its
/// confirmation may name the owner. The creates of other meetings are no reason to wait: a server
/// that always has one under way would delay every event that no tenant owns.
pub fn may_settle(fleet: &Fleet, server: &ServerId, event: &EventFacts) -> bool {
    if fleet.server(server).is_none_or(|server| server.pending() == 0) {
        return false;
    }
    let pending = fleet.records_on(server).filter(|(_, stored)| stored.value.state == RecordState::Pending);
    pending.into_iter().any(|(key, stored)| {
        let scope = TenantScope::of(&key.tenant);
        let is_named = |external: &str| scope.on_server(key.meeting.as_str(), None).to_string() == external;
        let stem = scope.instance_stem(key.meeting.as_str());
        let is_instance = |instance: &InternalMeetingId| {
            instance.as_str().rsplit_once('-').is_some_and(|(start, _)| start == stem)
        };
        // The server makes both ids of a breakout room, which are unknown until the confirmation.
        let is_room = || stored.value.breakout && event.external.as_deref().is_none_or(looks_internal);
        is_room()
            || event.external.as_deref().is_some_and(is_named)
            || event.internal.iter().chain(&event.parent).any(is_instance)
    })
}

/// Returns the meeting by the name that its application knows from BBB. A breakout room that an
/// application created has an id of the server's own there: `create` answered it, and events and hooks
/// use it.
fn called(on_server: &str, meeting: MeetingKey, event: &EventFacts) -> Option<MeetingKey> {
    let scope = TenantScope::of(&meeting.tenant);
    if scope.on_server(meeting.meeting.as_str(), event.internal.as_ref()).to_string() == on_server {
        return Some(meeting);
    }
    Some(MeetingKey::new(meeting.tenant, MeetingId::parse(on_server).ok()?))
}

/// Returns the server's id of the breakout room of an event, if the last poll listed the room.
fn listed_breakout<'f>(fleet: &'f Fleet, server: &ServerId, event: &EventFacts) -> Option<&'f str> {
    let listed = fleet.server(server)?.listed(event.internal.as_ref()?)?;
    listed.breakout.then_some(listed.external_id.as_str())
}

/// An id that names its tenant belongs to that tenant alone.
fn by_name(fleet: &Fleet, external: &str) -> Option<MeetingKey> {
    let name = external.split_once('~')?.0;
    let tenant = TenantId::parse(name).ok().filter(|tenant| tenant.as_str() != TenantId::DEFAULT)?;
    fleet.tenant(&tenant)?;
    own(&tenant, external)
}

/// Ids of `default` are used unchanged on servers, like those of meetings that other clients created
/// there. Other evidence must show that this meeting is ours.
fn of_default(fleet: &Fleet, server: &ServerId, external: &str, event: &EventFacts) -> Option<MeetingKey> {
    let default = TenantId::default_tenant();
    let key = own(&default, external)?;
    let lives_here = fleet.record(&key).is_some_and(|stored| stored.value.server == *server);
    let stood_here = || fleet.zombies_of(&key).any(|(zombie, _)| zombie.server == *server);
    let marked = || event.mark.as_ref() == Some(&default);
    // Recordings without a mark are `default`'s, as in `getRecordings`.
    let recorded = || event.mark.is_none() && event.name.starts_with("rap-") && !looks_internal(external);
    (lives_here || stood_here() || marked() || recorded()).then_some(key)
}

/// A breakout room has an id of the server's own, and its parent's metadata.
fn of_breakout(fleet: &Fleet, server: &ServerId, external: &str, event: &EventFacts) -> Option<MeetingKey> {
    let parent = fleet.instance_on(server, event.parent.as_ref()?)?;
    if event.mark.as_ref().is_some_and(|mark| *mark != parent.tenant) {
        return None;
    }
    Some(MeetingKey::new(parent.tenant, MeetingId::parse(external).ok()?))
}

fn own(tenant: &TenantId, external: &str) -> Option<MeetingKey> {
    let id = MeetingId::parse(TenantScope::of(tenant).original(external)?).ok()?;
    Some(MeetingKey::new(tenant.clone(), id))
}

#[cfg(test)]
mod tests;
