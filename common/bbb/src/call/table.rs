//! One row a call, in the order of [`Call`].

use super::{
    BodyKind::{self, Form, Json, Multipart, Xml},
    Call, Signing, Strategy,
};

/// What is known about a call.
pub(super) struct Row {
    pub(super) call: Call,
    pub(super) name: &'static str,
    pub(super) get: bool,
    pub(super) post: bool,
    pub(super) bodies: &'static [BodyKind],
    pub(super) signing: Signing,
    pub(super) strategy: Strategy,
    pub(super) read: bool,
}

impl Row {
    const fn get(call: Call, name: &'static str, signing: Signing, strategy: Strategy) -> Self {
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
    use Signing::{Hook, Meeting, None, Recording};
    use Strategy::{EveryServer, Gone, Hooks, Local, Owner, Place, Recordings, Redirect, Session};
    [
        Row::get(Call::Root, "", None, Local).and_post(&[Form, Multipart, Xml, Json]).read(),
        Row::get(Call::Create, "create", Meeting, Place).and_post(&[Form, Multipart, Xml]),
        Row::get(Call::Join, "join", Meeting, Redirect),
        Row::get(Call::IsMeetingRunning, "isMeetingRunning", Meeting, Owner).and_post(FORMS).read(),
        Row::get(Call::End, "end", Meeting, Owner).and_post(FORMS),
        Row::get(Call::GetMeetingInfo, "getMeetingInfo", Meeting, Owner).and_post(FORMS).read(),
        Row::get(Call::GetMeetings, "getMeetings", Meeting, EveryServer).and_post(FORMS).read(),
        Row::get(Call::GetSessions, "getSessions", Meeting, EveryServer).and_post(FORMS).read(),
        Row::get(Call::InsertDocument, "insertDocument", Meeting, Owner).only_post(&[Xml]),
        Row::get(Call::SendChatMessage, "sendChatMessage", Meeting, Owner),
        Row::get(Call::GetRecordings, "getRecordings", Recording, Recordings).and_post(FORMS).read(),
        Row::get(Call::PublishRecordings, "publishRecordings", Recording, Recordings),
        Row::get(Call::DeleteRecordings, "deleteRecordings", Recording, Recordings),
        Row::get(Call::UpdateRecordings, "updateRecordings", Recording, Recordings).and_post(FORMS),
        Row::get(Call::GetRecordingTextTracks, "getRecordingTextTracks", Recording, Recordings)
            .and_post(FORMS)
            .read(),
        Row::get(Call::PutRecordingTextTrack, "putRecordingTextTrack", Recording, Recordings)
            .only_post(&[Multipart]),
        Row::get(Call::HooksCreate, "hooks/create", Hook, Hooks),
        Row::get(Call::HooksList, "hooks/list", Hook, Hooks).read(),
        Row::get(Call::HooksDestroy, "hooks/destroy", Hook, Hooks),
        Row::get(Call::HooksPing, "hooks/ping", None, Local).read(),
        Row::get(Call::GetJoinUrl, "getJoinUrl", None, Session).and_post(FORMS),
        Row::get(Call::LearningDashboard, "learningDashboard", None, Session).and_post(FORMS),
        Row::get(Call::Stuns, "stuns", None, Session).and_post(FORMS),
        Row::get(Call::SignOut, "signOut", None, Session).and_post(FORMS),
        Row::get(Call::Enter, "enter", None, Session).and_post(FORMS),
        Row::get(Call::GuestWait, "guestWait", None, Session),
        Row::get(Call::Feedback, "feedback", None, Session).only_post(&[Form, Json]),
        Row::get(Call::GetDefaultConfigXml, "getDefaultConfigXML", None, Gone),
        Row::get(Call::SetConfigXml, "setConfigXML", None, Gone).only_post(FORMS),
        Row::get(Call::SetPollXml, "setPollXML", None, Gone).only_post(FORMS),
    ]
};
