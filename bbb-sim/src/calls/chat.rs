//! The call `sendChatMessage`.

use usher_bbb::{
    call::ApiCall,
    reply::{self, Refusal},
    text_length::utf16_length,
};

use super::ids::meeting_id;
use crate::{answer::ApiAnswer, memory::ServerMemory, request::ApiParams};

pub(super) fn answer(memory: &mut ServerMemory, params: &ApiParams) -> ApiAnswer {
    let id = meeting_id(params, memory.version(), ApiCall::SendChatMessage);
    let (id, message) = match (id, params.given("message")) {
        (Err(fault), _) => return fault.into(),
        (Ok(_), None) => return Refusal::MISSING_CHAT_MESSAGE.into(),
        (Ok(_), Some(message)) if utf16_length(message) > 500 => {
            return Refusal::CHAT_MESSAGE_LENGTH.into();
        }
        (Ok(id), Some(message)) => (id, message),
    };
    let user = params.given("userName").unwrap_or("System");
    if utf16_length(user) > 255 {
        return Refusal::CHAT_USER_NAME_LENGTH.into();
    }
    match memory.find_mut(id).filter(|meeting| meeting.is_running()) {
        None => Refusal::CHAT_MEETING_NOT_FOUND.into(),
        Some(meeting) => {
            meeting.chat.push((user.to_owned(), message.to_owned()));
            ApiAnswer::Xml(reply::success(|xml| {
                xml.leaf("messageKey", "").leaf("message", "");
            }))
        }
    }
}
