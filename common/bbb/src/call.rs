//! The calls of the BBB API: names, methods, bodies, and what a load balancer does with each.

mod table;

use http::Method;

use super::reply::Refusal;

/// A call of the BBB API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs)] // each is named as in the API, whose documentation describes it
pub enum ApiCall {
    Root,
    Create,
    Join,
    IsMeetingRunning,
    End,
    GetMeetingInfo,
    GetMeetings,
    GetSessions,
    InsertDocument,
    SendChatMessage,
    GetRecordings,
    PublishRecordings,
    DeleteRecordings,
    UpdateRecordings,
    GetRecordingTextTracks,
    PutRecordingTextTrack,
    HooksCreate,
    HooksList,
    HooksDestroy,
    HooksPing,
    GetJoinUrl,
    LearningDashboard,
    Stuns,
    SignOut,
    Enter,
    GuestWait,
    Feedback,
    GetDefaultConfigXml,
    SetConfigXml,
    SetPollXml,
}

/// What a load balancer does with a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallStrategy {
    /// Answers it itself.
    Local,
    /// Sends it to the meeting's owner, after choosing one where there is none.
    Place,
    /// Sends the browser to the meeting's owner.
    Redirect,
    /// Sends it to the meeting's owner.
    Owner,
    /// Asks every server and merges.
    EveryServer,
    /// Concerns recordings.
    Recordings,
    /// Concerns webhooks.
    Hooks,
    /// Belongs to a browser's session with one server; never ours.
    Session,
    /// Gone from BBB.
    Gone,
}

/// Who signs a call, and in whose words a failure is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallSigning {
    /// Not signed.
    None,
    /// Signed, checked by the validators of bbb-web.
    Meeting,
    /// Signed, checked by the recording controller.
    Recording,
    /// Signed, checked by bbb-webhooks.
    Hook,
}

/// Kinds of request body that some call takes.
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
    /// Reads a `Content-Type`; its parameters do not matter.
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

/// What is wrong with a request's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumProblem {
    /// None given.
    Missing,
    /// Given more than once, or not that of the request.
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
    /// Reads the path below `/bigbluebutton/api/`; names are case-sensitive.
    pub fn parse(path: &str) -> Option<Self> {
        table::ALL.iter().find(|row| row.name == path).map(|row| row.call)
    }

    /// Returns every call.
    pub fn all() -> impl Iterator<Item = Self> {
        table::ALL.iter().map(|row| row.call)
    }

    /// Returns its name, as it is in the path and in the checksum.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// Tells whether it takes this method.
    pub fn accepts_method(self, method: &Method) -> bool {
        match *method {
            Method::GET => self.row().get,
            Method::POST => self.row().post,
            _ => false,
        }
    }

    /// Tells whether it takes a body of this kind; a request without one is always taken.
    pub fn accepts_body(self, kind: BodyKind) -> bool {
        self.row().bodies.contains(&kind)
    }

    /// Tells whether requests must carry a checksum.
    pub fn is_signed(self) -> bool {
        self.row().signing != CallSigning::None
    }

    /// Returns by whom its checksum is checked.
    pub fn signing(self) -> CallSigning {
        self.row().signing
    }

    /// Returns what a load balancer does with it.
    pub fn strategy(self) -> CallStrategy {
        self.row().strategy
    }

    /// Tells whether it changes nothing, so that identical ones may share an answer.
    pub fn is_read(self) -> bool {
        self.row().read
    }

    /// Tells whether its answers are JSON.
    pub fn answers_json(self) -> bool {
        matches!(self, Self::GetRecordingTextTracks | Self::PutRecordingTextTrack)
    }

    /// Returns the refusal of a checksum, in the words of the part of BBB that checks it.
    pub fn checksum_refusal(self, problem: ChecksumProblem) -> Refusal {
        match (self.signing(), problem) {
            (CallSigning::Hook, _) => Refusal::CHECKSUM_OF_HOOK,
            (CallSigning::Recording, ChecksumProblem::Missing) if self == Self::PutRecordingTextTrack => {
                Refusal::MISSING_PARAM_CHECKSUM
            }
            (CallSigning::Recording, _) => Refusal::CHECKSUM_OF_RECORDING,
            (_, ChecksumProblem::Missing) => Refusal::CHECKSUM_MISSING,
            (_, ChecksumProblem::Mismatch) => Refusal::CHECKSUM_MISMATCH,
        }
    }

    fn row(self) -> &'static table::Row {
        &table::ALL[self as usize]
    }
}

impl std::fmt::Display for ApiCall {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests;
