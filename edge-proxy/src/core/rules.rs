//! Parameter rules: additions, removals and caps of the parameters of creates and joins (S13).

mod parameters;

use std::time::Duration;

use usher_bbb::query::{EditedParameters, ParameterEdit, ParameterList, QueryEdit, encode};
use usher_model::{
    id::MeetingId,
    meeting::MeetingKey,
    scope::{TenantScope, is_squeezed},
    settings::MeetingSettings,
    tenant::TenantPolicy,
    voice::{TEST_BRIDGE, VoiceBridge},
};

use self::parameters::changes;

/// The metadata that names the tenant of a meeting, so that polls can rebuild records.
const TENANT_MARK: &str = "meta_usher-tenant";
/// The metadata that holds the id which an application gave to a breakout room: servers know the
/// room by another id.
const ROOM_MARK: &str = "meta_usher-room";
/// The metadata with the exact id of a meeting, encoded, so that polls can rebuild records: servers
/// squeeze the white space of ids in their answers.
const ID_MARK: &str = "meta_usher-id";
/// The metadata with the address of the recordings library, to which servers upload the recording of the meeting.
const LIBRARY_MARK: &str = "meta_usher-library";
/// The metadata for the expected number of users. Callers may set it, and polls read it.
const SIZE_HINT: &str = "meta_usher-size";
/// The metadata that moves an id to another server. Servers never receive it.
const SUPERSEDE: &str = "meta_usher-supersede";
/// The prefix of metadata that only Usher may set.
const OURS: &str = "meta_usher-";
const SERVER_TAG: &str = "meta_server-tag";
const VOICE_BRIDGE: &str = "voiceBridge";
/// The telephone number that a meeting shows to its users.
const DIAL_NUMBER: &str = "dialNumber";
/// The parameters by which a create brings a presentation.
const PRESENTATIONS: [&str; 2] = ["preUploadedPresentation", "preUploadedPresentationName"];

/// The rules of the configuration, which apply to all tenants.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeploymentRules {
    create_exclude: Vec<String>,
    join_exclude: Vec<String>,
    /// The longest duration in minutes; 0 means no limit.
    max_minutes: u64,
    /// The address to which servers upload recordings; `None` if recordings stay on the servers.
    library: Option<String>,
}

/// The wishes of a create for its placement.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlacementWishes {
    /// The value of `maxParticipants`; 0 means no limit.
    pub max_users: u32,
    /// The expected number of users; 0 means unknown.
    pub size_hint: u32,
    /// The required (`!tag`) or preferred tag of the server; empty means none.
    pub server_tag: String,
    /// Whether the id moves to another server if its own is only unhealthy.
    pub supersede: bool,
    /// The voice bridge by which callers reach the meeting; `None` if any number will do.
    pub voice_bridge: Option<VoiceBridge>,
    /// The voice bridges that a server refused because another meeting there has them.
    pub refused_bridges: Vec<VoiceBridge>,
    /// The parent, if the meeting is a breakout room.
    pub parent: Option<MeetingId>,
}

impl DeploymentRules {
    /// Reads the rules from the settings.
    pub fn new(settings: &MeetingSettings) -> Self {
        // A duration is a number of whole minutes, so a limit below one minute is one minute.
        let minutes = settings.max_duration.as_secs().div_ceil(60);
        Self {
            create_exclude: keep_essential(&settings.create_exclude),
            join_exclude: keep_essential(&settings.join_exclude),
            max_minutes: if settings.max_duration == Duration::ZERO { 0 } else { minutes },
            library: None,
        }
    }

    /// Returns the rules with the address to which servers upload recordings.
    #[must_use]
    pub fn with_library(self, library: Option<String>) -> Self {
        Self { library, ..self }
    }

    /// Returns the parameters of a create after the rules of its tenant.
    pub fn ruled<'p>(
        &'p self,
        parameters: &'p ParameterList<'p>,
        policy: &'p TenantPolicy,
    ) -> EditedParameters<'p> {
        let presentation = policy.presentation.as_ref().filter(|shown| shown.forced);
        let brought = presentation.map(|_| PRESENTATIONS.map(removed)).into_iter().flatten();
        let mut ruled = parameters.edited();
        ruled.apply(
            removals(&self.create_exclude)
                .chain(changes(&policy.create_rules, parameters, &self.create_exclude))
                .chain(brought),
        );
        ruled
    }

    /// Changes the parameters of a create to those that the server gets. `ruled` are the parameters after
    /// the rules of the tenant.
    pub fn create(
        &self,
        ruled: &mut EditedParameters<'_>,
        key: &MeetingKey,
        scope: &TenantScope,
        policy: &TenantPolicy,
    ) {
        let set = |name: &'static str, value: String| ParameterEdit::Set(name.into(), value.into());
        let mut edits: Vec<ParameterEdit<'static>> = ruled
            .iter()
            .filter(|given| is_ours(given.name) && !given.name.eq_ignore_ascii_case(SIZE_HINT))
            .map(|given| ParameterEdit::Remove(given.name.to_owned().into()))
            .collect();
        let max_minutes = shorter(self.max_minutes, policy.max_duration.as_secs() / 60);
        if max_minutes > 0 && !within(ruled, max_minutes) {
            edits.push(set("duration", max_minutes.to_string()));
        }
        if ruled.values(VOICE_BRIDGE).any(|bridge| bridge.trim() == TEST_BRIDGE) {
            edits.push(removed(VOICE_BRIDGE));
        }
        if !policy.dial_number.is_empty() {
            edits.push(set(DIAL_NUMBER, policy.dial_number.clone()));
        }
        edits.push(set(TENANT_MARK, key.tenant.as_str().to_owned()));
        if let Some(library) = &self.library {
            edits.push(set(LIBRARY_MARK, library.clone()));
        }
        if is_squeezed(key.meeting.as_str()) {
            edits.push(set(ID_MARK, encode(key.meeting.as_str())));
        }
        let on_server = scope.scoped(key.meeting.as_str());
        if !on_server.prefix.is_empty() {
            edits.push(set("meetingID", on_server.to_string()));
        }
        ruled.apply(edits);
    }

    /// Returns the parameters of a join after the configuration, the rules of its tenant, and then `id`, the
    /// change of the meeting's id.
    pub fn join<'p>(
        &'p self,
        parameters: &'p ParameterList<'p>,
        policy: &'p TenantPolicy,
        id: Option<QueryEdit<'p>>,
    ) -> EditedParameters<'p> {
        let mut sent = parameters.edited();
        sent.apply(
            removals(&self.join_exclude)
                .chain(changes(&policy.join_rules, parameters, &self.join_exclude))
                .chain(id.map(ParameterEdit::from)),
        );
        sent
    }
}

fn removals(names: &[String]) -> impl Iterator<Item = ParameterEdit<'_>> {
    names.iter().map(|name| removed(name))
}

fn removed(name: &str) -> ParameterEdit<'_> {
    ParameterEdit::Remove(name.into())
}

/// Returns whether a decoded name is that of metadata which only Usher may set. It is compared in any case, so
/// that no spelling of it passes, such as `META%5fUsher-x`.
fn is_ours(name: &str) -> bool {
    name.get(..OURS.len()).is_some_and(|start| start.eq_ignore_ascii_case(OURS))
}

/// Returns the shorter of two limits; 0 means no limit.
fn shorter(a: u64, b: u64) -> u64 {
    if a == 0 || b == 0 { a.max(b) } else { a.min(b) }
}

/// Reads the wishes of a create for its placement.
pub fn wishes(query: &EditedParameters<'_>) -> PlacementWishes {
    let number = |name| query.first(name).and_then(|value| value.trim().parse().ok()).unwrap_or(0);
    PlacementWishes {
        max_users: number("maxParticipants"),
        size_hint: number(SIZE_HINT),
        server_tag: query.first(SERVER_TAG).unwrap_or_default().into_owned(),
        supersede: query.first(SUPERSEDE).is_some_and(|value| value.trim() == "true"),
        voice_bridge: query.first(VOICE_BRIDGE).and_then(|value| VoiceBridge::parse(value.trim())),
        refused_bridges: Vec::new(),
        parent: None,
    }
}

/// Returns the change of a create whose meeting gets a voice bridge.
pub fn numbered(bridge: VoiceBridge) -> ParameterEdit<'static> {
    ParameterEdit::Set(VOICE_BRIDGE.into(), bridge.to_string().into())
}

/// Returns the changes to the create of a breakout room that its application names `id` and the
/// server `instance`.
pub fn as_room(id: &MeetingId, instance: String) -> [ParameterEdit<'static>; 2] {
    [
        ParameterEdit::Set("meetingID".into(), instance.into()),
        ParameterEdit::Set(ROOM_MARK.into(), id.as_str().to_owned().into()),
    ]
}

/// Returns the names without `meetingID`, which no configuration may exclude: no call works without
/// it.
fn keep_essential(names: &[String]) -> Vec<String> {
    names.iter().filter(|name| *name != "meetingID").cloned().collect()
}

/// Returns whether there is exactly one duration and it is between 1 and `max` minutes.
fn within(query: &EditedParameters<'_>, max: u64) -> bool {
    let given = query.first("duration").and_then(|value| value.trim().parse::<u64>().ok());
    !query.is_repeated("duration") && given.is_some_and(|minutes| (1..=max).contains(&minutes))
}

#[cfg(test)]
mod tests;
