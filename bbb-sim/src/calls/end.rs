//! The call `end`.

use usher_bbb::reply::{self, Refusal};

use super::CallContext;
use crate::{answer::ApiAnswer, memory::SimEndResult, request::ApiParams};

pub(super) fn answer(context: &mut CallContext<'_>, params: &ApiParams) -> ApiAnswer {
    let id = match super::meeting_id(params) {
        Ok(id) => id,
        Err(refusal) => return refusal.into(),
    };
    match context.memory.end(id, params.get("password"), context.now_ms) {
        SimEndResult::Ended => ApiAnswer::Xml(reply::ended()),
        SimEndResult::NotFound => Refusal::NOT_FOUND.into(),
        SimEndResult::WrongPassword => Refusal::WRONG_MODERATOR_PASSWORD.into(),
    }
}
