//! Every interleaving of two requests that create one resource, each sent again at another replica
//! because its answer was lost (ADR 35). The decisions are the project's own; the model adds the
//! store, replicas that lag, and answers that no tool receives.

use std::{
    collections::{BTreeSet, VecDeque},
    time::Instant,
};

use usher_bbb::{checksum::ChecksumAlgorithm, secret::Secret};
use usher_control_plane::core::{
    fleet::Fleet,
    lifecycle::{AdminError, TenantError, create_server, create_tenant},
    plan::{FleetEvent, Plan, PlanGuard, Stored},
    policy::Policy,
};
use usher_model::{
    id::{ServerId, TenantId},
    request_mark::RequestMark,
    routing::TenantRoute,
    server::{AdminState, Server},
};

/// The number of one of the two requests.
type Request = usize;

/// The calls: their request, and the replica that serves them. A request is sent again at the other one.
const CALLS: [(Request, usize); 4] = [(0, 0), (0, 1), (1, 1), (1, 0)];

/// The decision of a replica about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Decision {
    /// Create the resource if it is absent.
    Create,
    /// Tell the tool that its request created the resource.
    Own,
    /// Tell the tool that another request did.
    Exists,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum CallStage {
    /// Not sent, or its replica decides again.
    Undecided,
    /// The transaction is on its way to the store.
    Committing,
    /// The answer is final; the tool may or may not receive it.
    Answered,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ModelState {
    /// The request that created the resource.
    maker: Option<Request>,
    /// Whether each replica has applied the creation.
    seen: [bool; 2],
    calls: [CallStage; CALLS.len()],
}

/// Searches every state that the calls can reach; `decide` is the decision of a replica that knows the
/// resource as created by a request, or not at all. Returns the number of states.
fn search(decide: impl Fn(Option<Request>, Request) -> Decision) -> usize {
    let calls = [CallStage::Undecided; CALLS.len()];
    let mut waiting = VecDeque::from([ModelState { maker: None, seen: [false; 2], calls }]);
    let mut known: BTreeSet<ModelState> = waiting.iter().cloned().collect();
    while let Some(state) = waiting.pop_front() {
        let mut next = Vec::new();
        for replica in 0..2 {
            if state.maker.is_some() {
                let mut seen = state.seen;
                seen[replica] = true;
                next.push(ModelState { seen, ..state.clone() });
            }
        }
        for (call, (request, replica)) in CALLS.into_iter().enumerate() {
            let at = |stage| {
                let mut calls = state.calls;
                calls[call] = stage;
                ModelState { calls, ..state.clone() }
            };
            let answered = |own: bool| {
                let told = if own { "its own" } else { "that of another" };
                assert_eq!(
                    state.maker == Some(request),
                    own,
                    "request {request} is told {told} in {state:?}"
                );
                at(CallStage::Answered)
            };
            match state.calls[call] {
                CallStage::Undecided => {
                    let view = state.maker.filter(|_| state.seen[replica]);
                    next.push(match decide(view, request) {
                        Decision::Create => at(CallStage::Committing),
                        Decision::Own => answered(true),
                        Decision::Exists => answered(false),
                    });
                }
                // The answer to the commit may be lost too: the replica then decides again.
                CallStage::Committing if state.maker.is_none() => {
                    let created = ModelState { maker: Some(request), ..at(CallStage::Answered) };
                    let undecided = ModelState { maker: Some(request), ..at(CallStage::Undecided) };
                    next.extend([created, undecided]);
                }
                // The guard fails.
                CallStage::Committing => next.push(at(CallStage::Undecided)),
                CallStage::Answered => {}
            }
        }
        for state in next {
            if known.insert(state.clone()) {
                waiting.push_back(state);
            }
        }
    }
    let answered = |state: &&ModelState| state.calls.iter().all(|call| *call == CallStage::Answered);
    assert!(known.iter().any(|state| answered(&state)), "no history answers every call");
    known.len()
}

fn mark(request: Request) -> Option<RequestMark> {
    let half = [u8::try_from(request).expect("is small"); 16];
    Some(RequestMark { id: half, content: half })
}

/// Returns a fleet that shows an entry.
fn fleet_with(event: FleetEvent) -> Fleet {
    let mut fleet = Fleet::new(7, Policy::default());
    fleet.apply(2, vec![event], Instant::now());
    fleet
}

fn stored<T>(value: T) -> Option<Stored<T>> {
    Some(Stored { value, created: 2, modified: 2 })
}

/// The plan of a creation must not overwrite an entry.
fn created(plan: &Plan) -> Decision {
    if plan.is_empty() {
        return Decision::Own;
    }
    assert!(plan.guards.iter().any(|guard| matches!(guard, PlanGuard::Absent(_))), "{plan:?}");
    Decision::Create
}

#[test]
fn two_requests_create_one_server_although_answers_are_lost() {
    let server = |request| Server {
        id: ServerId::parse("new").expect("is an id"),
        url: "https://new.example.org/bigbluebutton/api/".into(),
        secret: Secret::new("secret"),
        weight: 1.0,
        tags: Vec::new(),
        admin: AdminState::Enabled,
        algorithm: ChecksumAlgorithm::Sha256,
        created_at_ms: 0,
        former_of: None,
        created_by: mark(request),
    };
    let states = search(|view, request| {
        let fleet = match view {
            Some(maker) => fleet_with(FleetEvent::Server(server(maker).id, stored(server(maker)))),
            None => Fleet::new(7, Policy::default()),
        };
        match create_server(&fleet, server(request)) {
            Ok(step) => created(&step.plan),
            Err(AdminError::Exists) => Decision::Exists,
            Err(other) => panic!("{other}"),
        }
    });
    assert!(states > 100, "{states} states mean little");
}

#[test]
fn two_requests_create_one_tenant_although_answers_are_lost() {
    let tenant = |request| TenantRoute {
        secrets: vec![Secret::new("secret")],
        created_by: mark(request),
        ..TenantRoute::new(TenantId::parse("new").expect("is an id"))
    };
    let states = search(|view, request| {
        let fleet = match view {
            Some(maker) => fleet_with(FleetEvent::Tenant(tenant(maker).id, stored(tenant(maker)))),
            None => Fleet::new(7, Policy::default()),
        };
        match create_tenant(&fleet, tenant(request)) {
            Ok(step) => created(&step.plan),
            Err(TenantError::Exists) => Decision::Exists,
            Err(other) => panic!("{other}"),
        }
    });
    assert!(states > 100, "{states} states mean little");
}
