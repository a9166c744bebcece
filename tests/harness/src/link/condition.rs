//! The condition of a link, for all its connections and for those of single processes.

use std::{collections::BTreeMap, time::Duration};

/// The treatment of the bytes that a link carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkCondition {
    /// All bytes pass without delay.
    #[default]
    Open,
    /// No byte passes; connections, new ones included, stay open and silent. Bytes that were sent
    /// meanwhile arrive when the link opens again, as TCP retransmits them.
    Cut,
    /// Answers pass, requests do not.
    NoRequests,
    /// Requests pass and are carried out, answers do not.
    NoAnswers,
    /// All bytes are delayed by this much, in each direction.
    Delay(Duration),
    /// Open connections are closed, new ones refused.
    Closed,
}

/// The current conditions of a link.
#[derive(Debug, Clone, Default)]
pub(super) struct LinkRules {
    pub(super) all: LinkCondition,
    /// The conditions of single processes, by process id.
    pub(super) of: BTreeMap<u32, LinkCondition>,
}
