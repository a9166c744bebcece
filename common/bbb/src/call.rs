//! The calls of the BBB API: names, methods, bodies, parameters, and the work of a load balancer for
//! each (wire-contract 2). All of it comes from the one list in `table`.

mod answer;
mod body;
mod parameter_rules;
mod signing;
mod strategy;
mod table;

use http::Method;

pub use answer::{AnswerFormat, MissingMeeting};
pub use body::BodyKind;
pub use parameter_rules::ParameterRules;
pub use signing::{CallSigning, ChecksumProblem};
pub use strategy::{
    CallStrategy, EveryServerList, HookAction, LocalAnswer, OwnerAction, RecordingAction, RecordingChange,
};
pub use table::ApiCall;

use crate::reply::Refusal;

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
