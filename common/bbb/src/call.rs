//! The calls of the BBB API: names, methods, bodies, parameters, and the work of a load balancer for
//! each (wire-contract 2). All of it comes from the one list in `table`.

mod strategy;
mod table;

use http::Method;

pub use strategy::{
    CallStrategy, EveryServerList, HookAction, LocalAnswer, OwnerAction, RecordingAction, RecordingChange,
};
pub use table::ApiCall;

use super::reply::Refusal;

/// The part of BBB that verifies the checksum of a call. Each part refuses a checksum in words of
/// its own (wire-contract 1.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallSigning {
    /// The call is not signed.
    None,
    /// The validators of bbb-web.
    Meeting,
    /// The recording controller of bbb-web, which checks the parameters before the checksum.
    Recording,
    /// The separate program bbb-webhooks.
    Hook,
}

/// The format of a call's answers, refusals included. `join` and `hooks/ping` answer with a redirect
/// and with plain text, and refuse in XML like most calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerFormat {
    /// XML, as for most calls.
    Xml,
    /// JSON on one line.
    Json,
    /// JSON that BBB prints with four spaces of indentation.
    JsonLines,
}

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

/// The answer of a call that names a meeting that does not exist (wire-contract 8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MissingMeeting {
    /// The call names no meeting.
    Inapplicable,
    /// The call creates the meeting.
    Placed,
    /// A success: the meeting does not run.
    NotRunning,
    /// A refusal.
    Refused(Refusal),
    /// A refusal that has no key and repeats the meeting's id.
    RefusedWithoutKey,
}

/// The kinds of request body that some call accepts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyKind {
    /// `application/x-www-form-urlencoded`
    Form,
    /// `multipart/form-data`
    Multipart,
    /// `application/xml`, `text/xml`
    Xml,
    /// `application/json`
    Json,
}

impl BodyKind {
    /// Reads a `Content-Type` and ignores its parameters.
    pub fn parse(content_type: &str) -> Option<Self> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        let is = |name: &str| essence.eq_ignore_ascii_case(name);
        match () {
            () if is("application/x-www-form-urlencoded") => Some(Self::Form),
            () if is("multipart/form-data") => Some(Self::Multipart),
            () if is("application/xml") || is("text/xml") => Some(Self::Xml),
            () if is("application/json") => Some(Self::Json),
            () => None,
        }
    }
}

/// The reason why a request's checksum is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumProblem {
    /// The request has no checksum.
    Missing,
    /// The request has several checksums, or one that is not that of the request.
    Mismatch,
}

impl From<super::query::ChecksumFault> for ChecksumProblem {
    fn from(fault: super::query::ChecksumFault) -> Self {
        match fault {
            super::query::ChecksumFault::Missing => Self::Missing,
            super::query::ChecksumFault::Repeated => Self::Mismatch,
        }
    }
}

impl ApiCall {
    /// Returns the call that a path below `/bigbluebutton/api/` names. Names are case-sensitive.
    pub fn parse(path: &str) -> Option<Self> {
        table::ROWS.iter().find(|row| row.name == path).map(|row| row.call)
    }

    /// Returns every call, in the order of the list.
    pub fn all() -> impl Iterator<Item = Self> {
        table::ROWS.iter().map(|row| row.call)
    }

    /// Returns the name of the call, as it is in the path and in the checksum.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Returns whether the call accepts this method.
    pub fn accepts_method(self, method: &Method) -> bool {
        match *method {
            Method::GET => self.row().requests.get,
            Method::POST => self.row().requests.post.is_some(),
            _ => false,
        }
    }

    /// Returns whether the call accepts a body of this kind. A request without a body is always
    /// accepted.
    pub fn accepts_body(self, kind: BodyKind) -> bool {
        self.row().requests.post.is_some_and(|bodies| bodies.contains(&kind))
    }

    /// Returns whether requests must carry a checksum.
    pub fn is_signed(self) -> bool {
        self.row().signing != CallSigning::None
    }

    /// Returns the part of BBB that verifies the checksum.
    pub fn signing(self) -> CallSigning {
        self.row().signing
    }

    /// Returns the work of a load balancer for this call.
    pub fn strategy(self) -> CallStrategy {
        self.row().strategy
    }

    /// Returns whether applications reach the call through a load balancer. Calls of a browser's
    /// session go to the meeting's server without it, and removed calls are unknown to BBB too.
    pub fn is_served(self) -> bool {
        !matches!(self.strategy(), CallStrategy::Session | CallStrategy::Gone)
    }

    /// Returns whether the call has no effect, so that identical requests may share an answer.
    pub fn is_read(self) -> bool {
        self.strategy().is_read()
    }

    /// Returns whether bbb-webhooks, a separate program beside bbb-web, answers the call.
    pub fn is_of_webhooks(self) -> bool {
        matches!(self.strategy(), CallStrategy::Hooks(_) | CallStrategy::Local(LocalAnswer::Ping))
    }

    /// Returns the format of the call's answers.
    pub fn answer_format(self) -> AnswerFormat {
        self.row().answers
    }

    /// Returns whether the call's answers are JSON.
    pub fn answers_json(self) -> bool {
        matches!(self.answer_format(), AnswerFormat::Json | AnswerFormat::JsonLines)
    }

    /// Returns the rules that the call's parameters follow.
    pub fn parameter_rules(self) -> ParameterRules {
        self.row().parameters
    }

    /// Returns the answer about a meeting that does not exist.
    pub fn missing_meeting(self) -> &'static MissingMeeting {
        &self.row().missing
    }

    /// Returns the refusal of a checksum, in the words of the part of BBB that verifies it.
    pub fn checksum_refusal(self, problem: ChecksumProblem) -> Refusal {
        match (self.signing(), problem) {
            (CallSigning::Hook, _) => Refusal::CHECKSUM_OF_HOOK,
            (CallSigning::Recording, ChecksumProblem::Missing) if self == Self::PutRecordingTextTrack => {
                Refusal::MISSING_PARAM_CHECKSUM
            }
            (CallSigning::Recording, _) => Refusal::CHECKSUM_OF_RECORDING,
            (CallSigning::Meeting | CallSigning::None, ChecksumProblem::Missing) => Refusal::CHECKSUM_MISSING,
            (CallSigning::Meeting | CallSigning::None, ChecksumProblem::Mismatch) => {
                Refusal::CHECKSUM_MISMATCH
            }
        }
    }

    fn row(self) -> &'static table::CallRow {
        &table::ROWS[self as usize]
    }
}

impl std::fmt::Display for ApiCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
