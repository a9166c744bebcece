//! The call `end`.

use usher_bbb::reply::{self, Refusal};

use super::{ApiAnswer, Context};
use crate::{memory::EndOutcome, request::Params};

pub(super) fn answer(context: &mut Context<'_>, params: &Params) -> ApiAnswer {
    let id = match super::meeting_id(params) {
        Ok(id) => id,
        Err(refusal) => return refusal.into(),
    };
    match context.world.end(id, params.get("password"), context.now_ms) {
        EndOutcome::Ended => ApiAnswer::Xml(reply::ended()),
        EndOutcome::NotFound => Refusal::NOT_FOUND.into(),
        EndOutcome::WrongPassword => Refusal::WRONG_MODERATOR_PASSWORD.into(),
    }
}
