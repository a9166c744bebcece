//! Calls the project's own functions. They are pure, so each question is computed once.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use bytes::Bytes;
use foldhash::HashMap;
use usher_control_plane::core::{
    fleet::Fleet,
    health::{self, FailureSuspicion},
    lifecycle::{
        self, AdoptionOutcome, CreateAnswer, CreateCertainty, CreateRequest, EndReport, EndReportOutcome,
        OperationProgress, PlacementOutcome,
    },
    now::Now,
    placement::{InflightPlacements, PlacementRequest, TagWish, WhenFull},
    plan::Plan,
    policy::Policy,
    reconcile,
    voice::VoiceWish,
};
use usher_model::{
    server::{AdminState, HealthRecord, SampledMeeting},
    settings::{AdoptPolicy, PlacementSettings},
};

use crate::{
    bounds::Bounds,
    facts::{Changed, WATERMARK, fleet, health as counters_of, iid, key, sample, sid, token, zkey},
    state::{Counters, Poll, RecState, SERVERS, View},
    transaction::{self, Transaction},
    weak::{Guard, Weak},
};

/// A question to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Question {
    Place {
        token: u8,
        on: usize,
        supersede: bool,
    },
    Confirm {
        server: usize,
        token: Option<u8>,
        instance: u8,
    },
    Abandon {
        server: usize,
        token: u8,
        unknown: bool,
    },
    /// Of an instance and of a placement that was seen PENDING; 0 is neither.
    ReportEnd {
        server: usize,
        instance: u8,
        token: u8,
        unsent: bool,
    },
    Supersede,
    Panic {
        server: usize,
    },
    Enable {
        server: usize,
    },
    /// Cordons a server; disables one that is cordoned, if it is empty.
    Disable {
        server: usize,
    },
    Sample {
        server: usize,
        poll: Poll,
        waited: bool,
        /// The listed meeting carries our mark.
        marked: bool,
    },
    /// An operator adopts the meetings that the server lists.
    Adopt {
        server: usize,
        poll: Poll,
        marked: bool,
    },
    EndNotFound {
        server: usize,
        instance: u8,
    },
    /// Housekeeping; `zombie_ttl` has passed for every entry, or for none.
    Sweep {
        over: bool,
    },
}

/// The core's answer. Fields that a question does not use stay empty.
#[derive(Debug, Clone, Default)]
pub(crate) struct Decision {
    /// The caller gets SUCCESS, an id is unrouted, or an operation is complete.
    pub(crate) yes: bool,
    /// The server a create goes to.
    pub(crate) to: Option<usize>,
    /// Plans to commit.
    pub(crate) plans: Vec<Transaction>,
    /// Instances to be ended, each after its mark.
    pub(crate) ends: Vec<(Transaction, u8)>,
    /// To be committed if a server does not know an instance.
    pub(crate) verify: Vec<(usize, u8, Transaction)>,
}

/// A change of a server's counters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    PollOk,
    PollFailed,
    CallFailed,
}

/// The project's functions, with the answers so far.
pub(crate) struct Core {
    policy: Policy,
    /// Another balancer's meetings have the same names as ours.
    has_names: bool,
    weak: Weak,
    now: Instant,
    answers: RefCell<HashMap<(View, Question), Rc<Decision>>>,
}

impl Core {
    pub(crate) fn new(bounds: &Bounds, weak: Weak) -> Self {
        let policy = Policy {
            healthy_threshold: u32::from(bounds.healthy_threshold),
            unhealthy_threshold: u32::from(bounds.unhealthy_threshold),
            create_timeout: Duration::from_secs(30),
            zombie_policy: bounds.zombie_policy,
            adopt: if bounds.foreign > 0 && bounds.adopts == 0 {
                AdoptPolicy::All
            } else {
                AdoptPolicy::Tagged
            },
            placement: PlacementSettings { panic_threshold: 0.0, ..PlacementSettings::default() },
            ..Policy::default()
        };
        let has_names = bounds.foreign > 0;
        Self { policy, has_names, weak, now: Instant::now(), answers: RefCell::default() }
    }

    pub(crate) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Answers from the view of a replica.
    pub(crate) fn ask(&self, view: &View, question: Question) -> Rc<Decision> {
        if let Some(known) = self.answers.borrow().get(&(*view, question)) {
            return known.clone();
        }
        let mut decision = self.decide(view, question);
        self.weak.edit(view, question, &mut decision);
        let decision = Rc::new(decision);
        self.answers.borrow_mut().insert((*view, question), decision.clone());
        decision
    }

    /// Judges an event; none when the counters stay.
    pub(crate) fn judge(&self, counters: Option<Counters>, event: Event) -> Option<Counters> {
        let record = counters.map(counters_of);
        let record = record.as_ref();
        let judged: Option<HealthRecord> = match event {
            Event::PollOk => health::on_poll_ok(record, &self.policy, 0),
            Event::PollFailed => health::on_poll_failed(record, &self.policy, FailureSuspicion::None, "", 0),
            Event::CallFailed => health::on_passive_failure(record, &self.policy, "", 0),
        };
        judged.map(|new| Counters { recover: new.recover as u8, error: new.error as u8 })
    }

    fn decide(&self, view: &View, question: Question) -> Decision {
        let changed = match question {
            Question::Sample { server, poll, .. } | Question::Adopt { server, poll, .. } => {
                Changed { record: poll.record_changed, zombie: poll.zombie_changed.then_some(server) }
            }
            _ => Changed::default(),
        };
        let view = &self.weak.blind(view, question);
        let fleet = &fleet(view, changed, &self.policy, self.now);
        match question {
            Question::Place { token, on, supersede } => self.place(fleet, token, on, supersede),
            Question::Confirm { server, token, instance } => self.confirm(fleet, server, token, instance),
            Question::Abandon { server, token: number, unknown } => {
                let certainty = if unknown { CreateCertainty::Unknown } else { CreateCertainty::Definite };
                let step = lifecycle::abandon(fleet, &key(), &sid(server), &token(number), certainty, 0);
                one(step.outcome, &step.plan)
            }
            Question::ReportEnd { server, instance, token: number, unsent } => {
                let (running, token) = (iid(instance), token(number));
                let ended = EndReport {
                    instance: (instance > 0).then_some(&running),
                    placement: (number > 0).then_some(&token),
                    unsent,
                };
                let step = lifecycle::report_end(fleet, &key(), &sid(server), ended, 0);
                one(step.outcome == EndReportOutcome::Unrouted, &step.plan)
            }
            Question::Supersede => {
                let step = lifecycle::supersede(fleet, &key(), 0);
                step.map(|step| one(true, &step.plan)).unwrap_or_default()
            }
            Question::Panic { server } => {
                let step = lifecycle::panic_server(fleet, &sid(server), 0).expect("the server exists");
                one(step.outcome == OperationProgress::Done, &step.plan)
            }
            Question::Enable { server } => {
                let step = lifecycle::set_admin(fleet, &sid(server), AdminState::Enabled);
                one(true, &step.expect("the server exists").plan)
            }
            Question::Disable { server } => {
                let step = lifecycle::set_admin(fleet, &sid(server), AdminState::Disabled);
                step.map(|step| one(true, &step.plan)).unwrap_or_default()
            }
            Question::Sample { server, poll, waited, marked } => {
                self.reconcile(fleet, view, (server, poll, waited), marked)
            }
            Question::Adopt { server, poll, marked } => {
                let mut list = sample(WATERMARK);
                list.meetings
                    .extend(poll.seen.filter(|seen| *seen != 0).map(|seen| listed(seen, marked, true)));
                let step = lifecycle::adopt(fleet, &sid(server), &key(), &list, 0);
                one(step.outcome == AdoptionOutcome::Adopted, &step.plan)
            }
            Question::EndNotFound { server, instance } => {
                one(true, &reconcile::on_end_not_found(fleet, &zkey(server), &iid(instance)))
            }
            Question::Sweep { over } => {
                let age = if over { self.policy.zombie_ttl } else { Duration::ZERO };
                let work = reconcile::sweep(fleet, reconcile::MissingServer::Removed, self.at(age));
                let plans: Vec<Plan> = work.plans.into_iter().chain(work.abandoned).collect();
                Decision { plans: translated(&plans), ..Decision::default() }
            }
        }
    }

    fn at(&self, age: Duration) -> Now {
        Now { instant: self.now + age, wall_ms: i64::try_from(age.as_millis()).expect("days") }
    }

    /// Asks for a placement on one server: the other is excluded, as by an edge that was refused there.
    fn place(&self, fleet: &Fleet, number: u8, on: usize, supersede: bool) -> Decision {
        let excluded = SERVERS.into_iter().filter(|server| *server != on).map(sid).collect();
        let request = CreateRequest {
            placement: PlacementRequest {
                key: key(),
                max_users: 0,
                size_hint: 0,
                excluded,
                tag: TagWish::default(),
                when_full: WhenFull::default(),
            },
            token: token(number),
            request_digest: Bytes::new(),
            supersede,
            voice: VoiceWish::default(),
            parent: None,
        };
        let placed =
            lifecycle::place(fleet, &InflightPlacements::default(), &request, self.at(Duration::ZERO));
        let Ok(step) = placed else { return Decision::default() };
        match step.outcome {
            PlacementOutcome::Existing(record) => {
                Decision { to: Some(transaction::server(&record.server)), ..Decision::default() }
            }
            PlacementOutcome::New { record, .. } => {
                let to = Some(transaction::server(&record.server));
                Decision { to, ..one(true, &step.plan) }
            }
        }
    }

    fn confirm(&self, fleet: &Fleet, server: usize, number: Option<u8>, instance: u8) -> Decision {
        let newest = self.weak.lacks(Guard::NewerCreateTime);
        let answer = CreateAnswer {
            server: sid(server),
            token: number.map(token),
            internal_id: iid(instance),
            create_time_ms: if newest { i64::MAX } else { i64::from(instance) },
            breakout: false,
        };
        let step = lifecycle::confirm(fleet, &key(), &answer, 0);
        one(step.outcome, &step.plan)
    }

    fn reconcile(
        &self,
        fleet: &Fleet,
        view: &View,
        (server, poll, waited): (usize, Poll, bool),
        marked: bool,
    ) -> Decision {
        let unknown = view.zom[server].is_none()
            && view.rec.is_none_or(|rec| usize::from(rec.server) != server || rec.state == RecState::Pending);
        let hidden = unknown && self.weak.lacks(Guard::UnknownButOurs);
        let blind = self.weak.lacks(Guard::Watermark);
        let mut sample = sample(if blind { u64::MAX } else { WATERMARK });
        if let Some(seen @ 1..) = poll.seen {
            let named = marked || self.has_names;
            sample.meetings.push(listed(seen, marked && !hidden, named && !hidden));
        }
        let sent_at = self.now + if poll.late { self.policy.create_timeout } else { Duration::ZERO };
        let now = self.at(if waited { Duration::from_hours(1) } else { Duration::ZERO });
        let work = reconcile::on_sample(fleet, &sid(server), &sample, sent_at, now);
        let ends = work.ends.iter();
        let verify = work.verify.iter();
        Decision {
            plans: translated(&work.plans),
            ends: ends
                .map(|end| (Transaction::new(&end.mark), transaction::instance(&end.internal_id)))
                .collect(),
            verify: verify
                .map(|asked| {
                    let instance = transaction::instance(&asked.internal_id);
                    (transaction::server(&asked.server), instance, Transaction::new(&asked.if_gone))
                })
                .collect(),
            ..Decision::default()
        }
    }
}

fn one(yes: bool, plan: &Plan) -> Decision {
    Decision { yes, plans: translated(std::slice::from_ref(plan)), ..Decision::default() }
}

fn translated(plans: &[Plan]) -> Vec<Transaction> {
    plans.iter().filter(|plan| !plan.is_empty()).map(Transaction::new).collect()
}

/// A listed meeting. Under another name no step looks for it.
fn listed(instance: u8, marked: bool, named: bool) -> SampledMeeting {
    SampledMeeting {
        key: marked.then(key),
        claim: None,
        external_id: if named { "m" } else { "not ours" }.into(),
        internal_id: iid(instance),
        participants: 0,
        age_ms: 3_600_000,
        max_users: 0,
        size_hint: 0,
        breakout: false,
        named: false,
        voice_bridge: None,
        moderator_password: None,
    }
}
