//! The one list of the calls of the BBB API: one row for each call, with everything that depends on
//! which call it is.
//!
//! The macro makes the type [`ApiCall`] and the rows from the same lines, so that a call without a
//! row cannot exist. Every column is mandatory. Everything that treats calls differently matches on
//! a column without a wildcard, so that a new kind of call does not compile until each place knows
//! it.

use super::{
    answer::{
        AnswerFormat,
        MissingMeeting::{self, Inapplicable, NotRunning, Placed, Refused, RefusedWithoutKey},
    },
    body::BodyKind,
    parameter_rules::ParameterRules,
    signing::CallSigning,
    strategy::{
        CallStrategy::{self, EveryServer, Gone, Hooks, Local, Owner, Place, Recordings, Redirect, Session},
        EveryServerList::{Meetings, Sessions},
        HookAction,
        LocalAnswer::{Ping, Version},
        OwnerAction::{End, Read, Write},
        RecordingAction::{self, AddTrack, Change, ReadTracks},
        RecordingChange::{Delete, Publish, Update},
    },
};
use crate::reply::Refusal;

/// The methods that a call accepts, and the kinds of body that a POST of it may have.
#[derive(Debug, Clone, Copy)]
pub(super) struct AcceptedRequests {
    pub(super) get: bool,
    /// `None` if the call does not accept POST.
    pub(super) post: Option<&'static [BodyKind]>,
}

const GET: AcceptedRequests = AcceptedRequests { get: true, post: None };
const GET_OR_FORM: AcceptedRequests = get_or_post(&[BodyKind::Form, BodyKind::Multipart]);
const GET_OR_MODULES: AcceptedRequests = get_or_post(&[BodyKind::Form, BodyKind::Multipart, BodyKind::Xml]);
const GET_OR_ANY: AcceptedRequests =
    get_or_post(&[BodyKind::Form, BodyKind::Multipart, BodyKind::Xml, BodyKind::Json]);
const FORM: AcceptedRequests = post(&[BodyKind::Form, BodyKind::Multipart]);
const FORM_OR_JSON: AcceptedRequests = post(&[BodyKind::Form, BodyKind::Json]);
const FILE: AcceptedRequests = post(&[BodyKind::Multipart]);
const MODULES: AcceptedRequests = post(&[BodyKind::Xml]);

const fn get_or_post(bodies: &'static [BodyKind]) -> AcceptedRequests {
    AcceptedRequests { get: true, post: Some(bodies) }
}

const fn post(bodies: &'static [BodyKind]) -> AcceptedRequests {
    AcceptedRequests { get: false, post: Some(bodies) }
}

/// Everything that is known about one call.
#[derive(Debug)]
pub(super) struct CallRow {
    pub(super) call: ApiCall,
    pub(super) name: &'static str,
    pub(super) requests: AcceptedRequests,
    pub(super) signing: CallSigning,
    pub(super) strategy: CallStrategy,
    pub(super) answers: AnswerFormat,
    pub(super) parameters: ParameterRules,
    pub(super) missing: MissingMeeting,
}

macro_rules! calls {
    ($($call:ident, $name:literal, $requests:ident, $signing:ident, $strategy:expr, $answers:ident,
       $parameters:ident, $missing:expr;)*) => {
        /// A call of the BBB API.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[allow(missing_docs)] // each is named as in the API, whose documentation describes it
        pub enum ApiCall {
            $($call,)*
        }

        /// The rows in the order of [`ApiCall`], so that a call is the index of its row.
        pub(super) static ROWS: &[CallRow] = &[$(CallRow {
            call: ApiCall::$call,
            name: $name,
            requests: $requests,
            signing: CallSigning::$signing,
            strategy: $strategy,
            answers: AnswerFormat::$answers,
            parameters: ParameterRules::$parameters,
            missing: $missing,
        },)*];
    };
}

// Columns: call; name in the path and in the checksum; accepted requests; verifier of the checksum;
// strategy; format of answers; rules of the parameters; answer about a meeting that does not exist.
calls! {
    Root, "", GET_OR_ANY, None, Local(Version), Xml, Unchecked, Inapplicable;

    Create, "create", GET_OR_MODULES, Meeting, Place, Xml, Create, Placed;
    Join, "join", GET, Meeting, Redirect, Xml, Join, Refused(Refusal::INVALID_MEETING);
    IsMeetingRunning, "isMeetingRunning", GET_OR_FORM, Meeting, Owner(Read), Xml, Meeting, NotRunning;
    End, "end", GET_OR_FORM, Meeting, Owner(End), Xml, Meeting, Refused(Refusal::NOT_FOUND);
    GetMeetingInfo, "getMeetingInfo", GET_OR_FORM, Meeting, Owner(Read), Xml, Meeting,
        Refused(Refusal::NOT_FOUND);
    GetMeetings, "getMeetings", GET_OR_FORM, Meeting, EveryServer(Meetings), Xml, Unchecked, Inapplicable;
    GetSessions, "getSessions", GET_OR_FORM, Meeting, EveryServer(Sessions), Xml, Unchecked, Inapplicable;
    InsertDocument, "insertDocument", MODULES, Meeting, Owner(Write), Xml, Meeting, RefusedWithoutKey;
    SendChatMessage, "sendChatMessage", GET, Meeting, Owner(Write), Xml, ChatMessage,
        Refused(Refusal::CHAT_MEETING_NOT_FOUND);

    GetRecordings, "getRecordings", GET_OR_FORM, Recording, Recordings(RecordingAction::List), Xml,
        RecordingFilter, Inapplicable;
    PublishRecordings, "publishRecordings", GET, Recording, Recordings(Change(Publish)), Xml,
        RecordingPublication, Inapplicable;
    DeleteRecordings, "deleteRecordings", GET, Recording, Recordings(Change(Delete)), Xml,
        RecordingList, Inapplicable;
    UpdateRecordings, "updateRecordings", GET_OR_FORM, Recording, Recordings(Change(Update)), Xml,
        RecordingList, Inapplicable;
    GetRecordingTextTracks, "getRecordingTextTracks", GET_OR_FORM, Recording, Recordings(ReadTracks), Json,
        OneRecording, Inapplicable;
    PutRecordingTextTrack, "putRecordingTextTrack", FILE, Recording, Recordings(AddTrack), JsonLines,
        TextTrack, Inapplicable;

    HooksCreate, "hooks/create", GET, Hook, Hooks(HookAction::Create), Xml, HookRegistration, Inapplicable;
    HooksList, "hooks/list", GET, Hook, Hooks(HookAction::List), Xml, HookFilter, Inapplicable;
    HooksDestroy, "hooks/destroy", GET, Hook, Hooks(HookAction::Destroy), Xml, OneHook, Inapplicable;
    HooksPing, "hooks/ping", GET, None, Local(Ping), Xml, Unchecked, Inapplicable;

    GetJoinUrl, "getJoinUrl", GET_OR_FORM, None, Session, JsonLines, Unchecked, Inapplicable;
    LearningDashboard, "learningDashboard", GET_OR_FORM, None, Session, JsonLines, Unchecked, Inapplicable;
    Stuns, "stuns", GET_OR_FORM, None, Session, JsonLines, Unchecked, Inapplicable;
    SignOut, "signOut", GET_OR_FORM, None, Session, Xml, Unchecked, Inapplicable;
    Enter, "enter", GET_OR_FORM, None, Session, JsonLines, Unchecked, Inapplicable;
    GuestWait, "guestWait", GET, None, Session, JsonLines, Unchecked, Inapplicable;
    Feedback, "feedback", FORM_OR_JSON, None, Session, JsonLines, Unchecked, Inapplicable;

    GetDefaultConfigXml, "getDefaultConfigXML", GET, None, Gone, Xml, Unchecked, Inapplicable;
    SetConfigXml, "setConfigXML", FORM, None, Gone, Xml, Unchecked, Inapplicable;
    SetPollXml, "setPollXML", FORM, None, Gone, Xml, Unchecked, Inapplicable;
}
