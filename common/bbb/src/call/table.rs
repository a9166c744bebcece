//! One row a call, in the order of [`ApiCall`].

use super::{
    ApiCall,
    BodyKind::{self, Form, Json, Multipart, Xml},
    CallSigning, CallStrategy,
};

/// What is known about a call.
pub(super) struct Row {
    pub(super) call: ApiCall,
    pub(super) name: &'static str,
    pub(super) get: bool,
    pub(super) post: bool,
    pub(super) bodies: &'static [BodyKind],
    pub(super) signing: CallSigning,
    pub(super) strategy: CallStrategy,
    pub(super) read: bool,
}

impl Row {
    const fn get(call: ApiCall, name: &'static str, signing: CallSigning, strategy: CallStrategy) -> Self {
        Self { call, name, get: true, post: false, bodies: &[], signing, strategy, read: false }
    }

    const fn and_post(mut self, bodies: &'static [BodyKind]) -> Self {
        self.post = true;
        self.bodies = bodies;
        self
    }

    const fn only_post(mut self, bodies: &'static [BodyKind]) -> Self {
        self.get = false;
        self.and_post(bodies)
    }

    const fn read(mut self) -> Self {
        self.read = true;
        self
    }
}

const FORMS: &[BodyKind] = &[Form, Multipart];

pub(super) static ALL: [Row; 30] = {
    use CallSigning::{Hook, Meeting, None, Recording};
    use CallStrategy::{EveryServer, Gone, Hooks, Local, Owner, Place, Recordings, Redirect, Session};
    [
        Row::get(ApiCall::Root, "", None, Local).and_post(&[Form, Multipart, Xml, Json]).read(),
        Row::get(ApiCall::Create, "create", Meeting, Place).and_post(&[Form, Multipart, Xml]),
        Row::get(ApiCall::Join, "join", Meeting, Redirect),
        Row::get(ApiCall::IsMeetingRunning, "isMeetingRunning", Meeting, Owner).and_post(FORMS).read(),
        Row::get(ApiCall::End, "end", Meeting, Owner).and_post(FORMS),
        Row::get(ApiCall::GetMeetingInfo, "getMeetingInfo", Meeting, Owner).and_post(FORMS).read(),
        Row::get(ApiCall::GetMeetings, "getMeetings", Meeting, EveryServer).and_post(FORMS).read(),
        Row::get(ApiCall::GetSessions, "getSessions", Meeting, EveryServer).and_post(FORMS).read(),
        Row::get(ApiCall::InsertDocument, "insertDocument", Meeting, Owner).only_post(&[Xml]),
        Row::get(ApiCall::SendChatMessage, "sendChatMessage", Meeting, Owner),
        Row::get(ApiCall::GetRecordings, "getRecordings", Recording, Recordings).and_post(FORMS).read(),
        Row::get(ApiCall::PublishRecordings, "publishRecordings", Recording, Recordings),
        Row::get(ApiCall::DeleteRecordings, "deleteRecordings", Recording, Recordings),
        Row::get(ApiCall::UpdateRecordings, "updateRecordings", Recording, Recordings).and_post(FORMS),
        Row::get(ApiCall::GetRecordingTextTracks, "getRecordingTextTracks", Recording, Recordings)
            .and_post(FORMS)
            .read(),
        Row::get(ApiCall::PutRecordingTextTrack, "putRecordingTextTrack", Recording, Recordings)
            .only_post(&[Multipart]),
        Row::get(ApiCall::HooksCreate, "hooks/create", Hook, Hooks),
        Row::get(ApiCall::HooksList, "hooks/list", Hook, Hooks).read(),
        Row::get(ApiCall::HooksDestroy, "hooks/destroy", Hook, Hooks),
        Row::get(ApiCall::HooksPing, "hooks/ping", None, Local).read(),
        Row::get(ApiCall::GetJoinUrl, "getJoinUrl", None, Session).and_post(FORMS),
        Row::get(ApiCall::LearningDashboard, "learningDashboard", None, Session).and_post(FORMS),
        Row::get(ApiCall::Stuns, "stuns", None, Session).and_post(FORMS),
        Row::get(ApiCall::SignOut, "signOut", None, Session).and_post(FORMS),
        Row::get(ApiCall::Enter, "enter", None, Session).and_post(FORMS),
        Row::get(ApiCall::GuestWait, "guestWait", None, Session),
        Row::get(ApiCall::Feedback, "feedback", None, Session).only_post(&[Form, Json]),
        Row::get(ApiCall::GetDefaultConfigXml, "getDefaultConfigXML", None, Gone),
        Row::get(ApiCall::SetConfigXml, "setConfigXML", None, Gone).only_post(FORMS),
        Row::get(ApiCall::SetPollXml, "setPollXML", None, Gone).only_post(FORMS),
    ]
};
