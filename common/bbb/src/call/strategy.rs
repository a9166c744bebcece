//! The work of a load balancer for each kind of call.

/// The work of a load balancer for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStrategy {
    /// The load balancer answers without any server.
    Local(LocalAnswer),
    /// The call goes to the meeting's server, which is chosen if the meeting has none.
    Place,
    /// The browser is redirected to the meeting's server.
    Redirect,
    /// The call goes to the meeting's server.
    Owner(OwnerAction),
    /// Every server is queried, and the lists are merged.
    EveryServer(EveryServerList),
    /// The call goes to the servers that have the recordings.
    Recordings(RecordingAction),
    /// The call concerns the hooks of a tenant, which are kept for the whole fleet.
    Hooks(HookAction),
    /// The call belongs to a browser's session with one server and is not served.
    Session,
    /// BBB has removed the call, and it is not served.
    Gone,
}

/// An answer that needs no server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalAnswer {
    /// The version of the API.
    Version,
    /// The sign of life of bbb-webhooks.
    Ping,
}

/// The effect of a call on the meeting's server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnerAction {
    /// The call has no effect.
    Read,
    /// The call changes something in the meeting.
    Write,
    /// The call ends the meeting, so that its record has to go as well.
    End,
}

/// A list that is merged from the lists of all servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum EveryServerList {
    /// The meetings of the tenant.
    Meetings,
    /// The participants of the tenant's meetings.
    Sessions,
}

/// An action on recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingAction {
    /// Lists recordings.
    List,
    /// Changes recordings, on every server that has some of them.
    Change(RecordingChange),
    /// Lists the text tracks of one recording.
    ReadTracks,
    /// Adds a text track to one recording.
    AddTrack,
}

/// A change of recordings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingChange {
    /// Publishes or unpublishes them.
    Publish,
    /// Deletes them.
    Delete,
    /// Changes their metadata.
    Update,
}

/// An action on the hooks of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookAction {
    /// Registers a hook.
    Create,
    /// Lists hooks.
    List,
    /// Removes a hook.
    Destroy,
}

impl CallStrategy {
    /// Returns whether calls of this kind have no effect. A call that is not served counts as
    /// having one, because its effect is unknown.
    pub fn is_read(self) -> bool {
        match self {
            Self::Local(_)
            | Self::Owner(OwnerAction::Read)
            | Self::EveryServer(_)
            | Self::Recordings(RecordingAction::List | RecordingAction::ReadTracks)
            | Self::Hooks(HookAction::List) => true,
            Self::Place
            | Self::Redirect
            | Self::Owner(OwnerAction::Write | OwnerAction::End)
            | Self::Recordings(RecordingAction::Change(_) | RecordingAction::AddTrack)
            | Self::Hooks(HookAction::Create | HookAction::Destroy)
            | Self::Session
            | Self::Gone => false,
        }
    }
}
