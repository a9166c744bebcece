//! Failed calls as evidence about a server, for the control plane (X6, ADR 17).
//!
//! A server that accepts no connection has failed itself. Most other failures can also be caused by
//! the caller: by an invalid body, or by documents on a host that never answers. Such a failure is
//! therefore reported together with all callers whose same call failed there, and the control plane
//! weighs the report:
//!
//! | cause of the failure | reported evidence |
//! |---|---|
//! | no connection | the failure itself |
//! | time-out, 5xx, unreadable answer | each tenant and meeting whose same call failed there since one succeeded there last; whether the same call succeeded elsewhere since the first of them |
//! | the same, with documents | none: the caller chose the documents that the server fetched |
//! | HTTP 4xx | none: the caller chose the request (`core/server_refusal.rs`) |
//!
//! Each tenant and meeting has one vote, however often its call fails, and each tenant has few
//! votes, so that no tenant displaces the votes of another.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use usher_bbb::call::ApiCall;
use usher_model::id::{MeetingId, ServerId, TenantId};

/// The time for which a failure counts.
const WINDOW: Duration = Duration::from_mins(1);
/// The limit of simultaneous votes of one tenant, each for one of its meetings.
const VOTES_OF_TENANT: usize = 4;
/// The limit of votes about one call of one server.
const VOTES: usize = 16;
/// The limit of pairs of server and call that are watched at a time.
const STREAKS: usize = 4096;

/// The way in which a call to a server failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The server takes no connection.
    Connect,
    /// The TLS handshake fails.
    Tls,
    /// The server does not answer before the deadline of the call.
    Timeout,
    /// The server answers with HTTP 5xx.
    ServerError,
    /// The answer is empty, cut off or unreadable, or refuses the edge's own signature.
    BadAnswer,
}

/// The origin of a call, as far as it says something about a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallOrigin {
    /// The tenant whose request caused the call.
    pub tenant: TenantId,
    /// The meeting that the call is about, if it is about one.
    pub meeting: Option<MeetingId>,
    /// Whether the call brings documents, or names documents that the server fetches.
    pub brings_documents: bool,
}

/// The evidence against a server.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FailureEvidence {
    /// The tenants and meetings whose calls failed, each once.
    pub callers: Vec<(TenantId, Option<MeetingId>)>,
    /// Whether the same call succeeded at another server since the first of these failures.
    pub succeeds_elsewhere: bool,
}

/// The outcomes of the calls that this edge makes.
#[derive(Debug, Default)]
pub struct CallLedger {
    streaks: HashMap<(ServerId, ApiCall), Vec<Vote>>,
    successes: HashMap<ApiCall, Vec<Success>>,
}

#[derive(Debug)]
struct Vote {
    tenant: TenantId,
    meeting: Option<MeetingId>,
    /// The time of the first failure of this call within the window.
    since: Instant,
}

/// The last success of a call at a server. The two servers with the latest successes are kept for
/// each call.
#[derive(Debug)]
struct Success {
    server: ServerId,
    at: Instant,
}

impl CallLedger {
    /// Records that a call was answered. Earlier failures of the call at this server are forgotten:
    /// they were not caused by the server.
    pub fn succeeded(&mut self, server: &ServerId, call: ApiCall, now: Instant) {
        if !self.streaks.is_empty() {
            self.streaks.remove(&(server.clone(), call));
        }
        let last = self.successes.entry(call).or_default();
        if let Some(place) = last.iter().position(|success| success.server == *server) {
            last[place].at = now;
            last[..=place].rotate_right(1);
        } else {
            last.insert(0, Success { server: server.clone(), at: now });
            last.truncate(2);
        }
    }

    /// Records that a call failed, and returns the evidence against its server so far.
    pub fn failed(
        &mut self,
        server: &ServerId,
        call: ApiCall,
        caller: &CallOrigin,
        now: Instant,
    ) -> FailureEvidence {
        if caller.brings_documents {
            return FailureEvidence::default();
        }
        let is_fresh = |vote: &Vote| now.saturating_duration_since(vote.since) < WINDOW;
        if self.streaks.len() >= STREAKS {
            self.streaks.retain(|_, votes| votes.iter().any(is_fresh));
        }
        let watched = (server.clone(), call);
        if self.streaks.len() >= STREAKS && !self.streaks.contains_key(&watched) {
            return FailureEvidence::default();
        }
        let votes = self.streaks.entry(watched).or_default();
        votes.retain(is_fresh);
        let of_tenant = votes.iter().filter(|vote| vote.tenant == caller.tenant).count();
        let has_voted =
            votes.iter().any(|vote| vote.tenant == caller.tenant && vote.meeting == caller.meeting);
        if !has_voted && of_tenant < VOTES_OF_TENANT && votes.len() < VOTES {
            let (tenant, meeting) = (caller.tenant.clone(), caller.meeting.clone());
            votes.push(Vote { tenant, meeting, since: now });
        }
        let begun = votes.first().map_or(now, |vote| vote.since);
        let elsewhere = |success: &Success| success.server != *server && success.at >= begun;
        FailureEvidence {
            callers: votes.iter().map(|vote| (vote.tenant.clone(), vote.meeting.clone())).collect(),
            succeeds_elsewhere: self.successes.get(&call).is_some_and(|last| last.iter().any(elsewhere)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sid(id: &str) -> ServerId {
        ServerId::parse(id).unwrap()
    }

    fn caller(tenant: &str, meeting: &str) -> CallOrigin {
        CallOrigin {
            tenant: TenantId::parse(tenant).unwrap(),
            meeting: MeetingId::parse(meeting).ok(),
            brings_documents: false,
        }
    }

    #[test]
    fn x6_each_tenant_and_meeting_has_one_vote_until_the_call_succeeds() {
        let (mut ledger, start) = (CallLedger::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let (sick, well) = (sid("a"), sid("b"));
        for second in 0..10 {
            let evidence = ledger.failed(&sick, ApiCall::Create, &caller("one", "m1"), at(second));
            assert_eq!((evidence.callers.len(), evidence.succeeds_elsewhere), (1, false));
        }
        ledger.succeeded(&well, ApiCall::Create, at(10));
        ledger.succeeded(&sick, ApiCall::End, at(10));
        let evidence = ledger.failed(&sick, ApiCall::Create, &caller("two", "m1"), at(11));
        assert_eq!((evidence.callers.len(), evidence.succeeds_elsewhere), (2, true));
        let evidence = ledger.failed(&sick, ApiCall::End, &caller("two", "m1"), at(11));
        assert_eq!((evidence.callers.len(), evidence.succeeds_elsewhere), (1, false), "another call");
        ledger.succeeded(&sick, ApiCall::Create, at(12));
        let evidence = ledger.failed(&sick, ApiCall::Create, &caller("two", "m2"), at(13));
        assert_eq!((evidence.callers.len(), evidence.succeeds_elsewhere), (1, false), "it begins anew");
        let evidence = ledger.failed(&sick, ApiCall::Create, &caller("two", "m3"), at(13 + 60));
        assert_eq!(evidence.callers.len(), 1, "what is old does not count");
    }

    #[test]
    fn x6_one_tenant_leaves_room_for_the_votes_of_others() {
        let (mut ledger, now) = (CallLedger::default(), Instant::now());
        for number in 0..100 {
            ledger.failed(&sid("a"), ApiCall::Create, &caller("loud", &format!("m{number}")), now);
        }
        let evidence = ledger.failed(&sid("a"), ApiCall::Create, &caller("quiet", "m"), now);
        assert_eq!(evidence.callers.len(), VOTES_OF_TENANT + 1);
    }

    #[test]
    fn x6_documents_that_a_server_fetches_are_no_evidence() {
        let (mut ledger, now) = (CallLedger::default(), Instant::now());
        let uploads = CallOrigin { brings_documents: true, ..caller("one", "m1") };
        assert_eq!(ledger.failed(&sid("a"), ApiCall::Create, &uploads, now), FailureEvidence::default());
        let evidence = ledger.failed(&sid("a"), ApiCall::Create, &caller("one", "m2"), now);
        assert_eq!(evidence.callers.len(), 1);
    }

    proptest! {
        /// For all outcomes of one tenant's calls, alone or among the successes of others,
        /// no other tenant is reported against a server, and the memory stays limited.
        #[test]
        fn x6_no_sequence_of_one_tenants_calls_is_reported_as_another_tenants(
            calls in prop::collection::vec((0_u8..3, 0_u8..4, 0_u8..40, any::<bool>(), 0_u64..20_000), 0..300),
        ) {
            let (mut ledger, mut now) = (CallLedger::default(), Instant::now());
            for (outcome, server, meeting, documents, pause) in calls {
                now += Duration::from_millis(pause);
                let (server, call) = (sid(&format!("s{server}")), [ApiCall::Create, ApiCall::End][usize::from(meeting % 2)]);
                if outcome == 0 {
                    ledger.succeeded(&server, call, now);
                    continue;
                }
                let caller = CallOrigin { brings_documents: documents, ..caller("hostile", &format!("m{meeting}")) };
                let evidence = ledger.failed(&server, call, &caller, now);
                prop_assert!(evidence.callers.iter().all(|(tenant, _)| tenant.as_str() == "hostile"));
                prop_assert!(evidence.callers.len() <= VOTES_OF_TENANT);
            }
            prop_assert!(ledger.streaks.len() <= 8 && ledger.successes.values().all(|last| last.len() <= 2));
        }
    }
}
