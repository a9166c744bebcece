//! The rules that the parameters of a call follow.

/// The rules that the parameters of a call follow: the parameter that identifies the call's subject,
/// and the checks of the others (wire-contract 8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParameterRules {
    /// No parameter is checked.
    Unchecked,
    /// `meetingID`, and the parameters of a new meeting.
    Create,
    /// `meetingID`, and the parameters of a participant.
    Join,
    /// `meetingID` alone.
    Meeting,
    /// `meetingID`, and a message with its sender.
    ChatMessage,
    /// Optional filters, among them lists of `recordID` and `meetingID`.
    RecordingFilter,
    /// A list of `recordID`.
    RecordingList,
    /// A list of `recordID`, and `publish`.
    RecordingPublication,
    /// One `recordID`, in which a comma is an ordinary character.
    OneRecording,
    /// One `recordID`, with the kind and language of a text track.
    TextTrack,
    /// The address, meeting and events of a new hook.
    HookRegistration,
    /// An optional `meetingID` as a filter.
    HookFilter,
    /// `hookID`.
    OneHook,
}

impl ParameterRules {
    /// Returns the name of the parameter that identifies the subject of a call, and without which
    /// the call is refused; `None` if a call is about no single subject.
    pub fn identity(self) -> Option<&'static str> {
        match self {
            Self::Create | Self::Join | Self::Meeting | Self::ChatMessage => Some("meetingID"),
            Self::RecordingList | Self::RecordingPublication | Self::OneRecording | Self::TextTrack => {
                Some("recordID")
            }
            Self::OneHook => Some("hookID"),
            Self::Unchecked | Self::RecordingFilter | Self::HookRegistration | Self::HookFilter => None,
        }
    }

    /// Returns the names of the parameters that hold lists, whose entries are separated by commas.
    pub fn lists(self) -> &'static [&'static str] {
        match self {
            Self::RecordingFilter => &["recordID", "meetingID", "state"],
            Self::RecordingList | Self::RecordingPublication => &["recordID"],
            Self::HookRegistration => &["eventID"],
            // In the other parameters a comma is part of the text.
            Self::Unchecked
            | Self::Create
            | Self::Join
            | Self::Meeting
            | Self::ChatMessage
            | Self::OneRecording
            | Self::TextTrack
            | Self::HookFilter
            | Self::OneHook => &[],
        }
    }
}
