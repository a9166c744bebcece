//! The call `end`.

use usher_bbb::{
    call::ApiCall,
    reply::{self, Refusal},
    text_length::utf16_length,
};

use super::ids;
use crate::{
    answer::ApiAnswer,
    memory::{ServerMemory, SimEndResult},
    options::BbbVersion,
    request::ApiParams,
};

pub(super) fn answer(memory: &mut ServerMemory, params: &ApiParams, now_ms: u64) -> ApiAnswer {
    let id = match ids::meeting_id(params, memory.version(), ApiCall::End) {
        Ok(id) => id,
        Err(fault) => return fault.into(),
    };
    let password = params.get("password");
    let is_short = password.is_some_and(|password| !matches!(utf16_length(password), 0 | 2..=64));
    if is_short && memory.version() == BbbVersion::V2_5 {
        return Refusal::INVALID_PASSWORD.into();
    }
    match memory.end(id, password, now_ms) {
        SimEndResult::Ended => ApiAnswer::Xml(reply::ended()),
        SimEndResult::NotFound => Refusal::NOT_FOUND.into(),
        SimEndResult::WrongPassword => Refusal::WRONG_MODERATOR_PASSWORD.into(),
    }
}
