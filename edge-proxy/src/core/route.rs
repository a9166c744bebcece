//! Decides how a call is routed, by the state of its meeting's server (requirements A4).

use usher_bbb::call::ApiCall;
use usher_model::server::{AdminState, Health};

/// The state of a meeting's record and of its server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownMeeting {
    /// Whether the server confirmed the meeting.
    pub confirmed: bool,
    /// The admin state of its server.
    pub admin: AdminState,
    /// The health of its server.
    pub health: Health,
}

/// The routing of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RoutingDecision {
    /// The call is sent to the meeting's server, and to no other.
    Forward,
    /// The server is queried first: if the meeting still runs, the call is forwarded; otherwise its
    /// end is reported and the meeting is placed anew.
    ForwardIfRunning,
    /// The control plane chooses a server. It also decides about an existing record.
    Place,
    /// The caller is answered that there is no such meeting.
    Missing,
    /// The control plane records that the meeting has to end when its server returns, and the
    /// caller is answered with success.
    EndLater,
}

/// Decides the routing of a call that concerns one meeting.
pub fn decide(call: ApiCall, known: Option<KnownMeeting>) -> RoutingDecision {
    let Some(known) = known else {
        return if call == ApiCall::Create { RoutingDecision::Place } else { RoutingDecision::Missing };
    };
    match (call, known.admin, known.health) {
        (ApiCall::Create, AdminState::Disabled, _) | (ApiCall::Create, _, Health::Offline) => {
            RoutingDecision::Place
        }
        // An unhealthy server gets no extra query: the create itself gives the answer.
        (ApiCall::Create, AdminState::Cordoned, Health::Online) if known.confirmed => {
            RoutingDecision::ForwardIfRunning
        }
        (_, AdminState::Disabled, _) => RoutingDecision::Missing,
        (ApiCall::End, _, Health::Offline) => RoutingDecision::EndLater,
        (_, _, Health::Offline) => RoutingDecision::Missing,
        _ => RoutingDecision::Forward,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEALTHS: [Health; 3] = [Health::Online, Health::Unhealthy, Health::Offline];

    fn known(admin: AdminState, health: Health) -> KnownMeeting {
        KnownMeeting { confirmed: true, admin, health }
    }

    #[test]
    fn s5_every_state_is_as_requirements_a4_has_it() {
        use AdminState::{Cordoned, Disabled, Enabled};
        use RoutingDecision::{EndLater, Forward, ForwardIfRunning, Missing, Place};
        // admin state; then create, join, end for an online, unhealthy and offline server
        let table = [
            (Enabled, [Forward, Forward, Place], [Forward, Forward, Missing], [Forward, Forward, EndLater]),
            (
                Cordoned,
                [ForwardIfRunning, Forward, Place],
                [Forward, Forward, Missing],
                [Forward, Forward, EndLater],
            ),
            (Disabled, [Place; 3], [Missing; 3], [Missing; 3]),
        ];
        for (admin, create, join, end) in table {
            for (index, health) in HEALTHS.into_iter().enumerate() {
                assert_eq!(
                    decide(ApiCall::Create, Some(known(admin, health))),
                    create[index],
                    "{admin:?} {health:?}"
                );
                for call in [ApiCall::Join, ApiCall::GetMeetingInfo, ApiCall::IsMeetingRunning] {
                    assert_eq!(decide(call, Some(known(admin, health))), join[index], "{admin:?} {health:?}");
                }
                assert_eq!(
                    decide(ApiCall::End, Some(known(admin, health))),
                    end[index],
                    "{admin:?} {health:?}"
                );
            }
        }
    }

    #[test]
    fn h4_a_meeting_on_an_unhealthy_server_is_never_placed_elsewhere() {
        for admin in [AdminState::Enabled, AdminState::Cordoned] {
            assert_eq!(
                decide(ApiCall::Create, Some(known(admin, Health::Unhealthy))),
                RoutingDecision::Forward
            );
        }
    }

    #[test]
    fn an_unknown_meeting_can_only_be_created() {
        assert_eq!(decide(ApiCall::Create, None), RoutingDecision::Place);
        for call in [ApiCall::Join, ApiCall::End, ApiCall::GetMeetingInfo, ApiCall::InsertDocument] {
            assert_eq!(decide(call, None), RoutingDecision::Missing);
        }
    }
}
