//! Guards of the protocol, removed one by one. The product has no such switches: the test falsifies the
//! input of the core, edits its plans, or changes the rules of the world around it.

use crate::{
    core_calls::{Decision, Question},
    state::{Admin, Counters, Rec, RecState, Slot, View, ZomState},
    transaction::{Put, Transaction},
};

/// A guard that may be taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guard {
    /// A poll is no evidence about a value that was written after it was sent.
    Watermark,
    /// `end` goes by the internal id.
    InternalId,
    /// A record that was never confirmed returns to the instance it had superseded.
    Returns,
    /// A listed meeting that is marked as ours and unknown is adopted or ended.
    UnknownButOurs,
    /// An answer with an older `createTime` never replaces a newer one.
    NewerCreateTime,
    /// A superseded instance waits until its replacement is confirmed.
    ConfirmFirst,
    /// A placement holds only while its server and that server's health are as they were seen.
    Choice,
    /// A plan holds only while the record and zombies it was made from are as they were seen.
    Seen,
    /// As `Seen`, of a leader's plans alone.
    SeenByLeader,
    /// A superseded id without a new create routes to its old instance once that server is online.
    Restore,
    /// An id is not placed on a server that has a zombie of it.
    Zombie,
    /// A leader writes only while it leads.
    Fence,
    /// An `end` is sent only after its mark was committed.
    MarkFirst,
    /// A superseded instance routes again only when its server is online.
    Green,
    /// Under `zombie_policy = end` a meeting is ended only if its server was offline.
    Returned,
    /// A meeting without our mark is never ended in favour of another.
    Mark,
    /// A record that comes to a cordoned server keeps it from being disabled as empty.
    Arrival,
    /// Panic drops the waiting zombies of the server, too.
    GivenUp,
    /// Zombies and detached records are dropped only after `zombie_ttl`.
    Ttl,
    /// A report of an end names the ended instance.
    Named,
    /// A panic is carried on only while the server is disabled as it was.
    Disabled,
    /// A double that is newer than the record's instance is ended only if the record's server, which may
    /// be the same one under another entry, does not know it.
    Asked,
}

/// The guards that are taken out.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weak(u32);

impl Weak {
    pub(crate) fn without(guards: &[Guard]) -> Self {
        Self(guards.iter().fold(0, |set, guard| set | 1 << *guard as u16))
    }

    pub(crate) fn lacks(self, guard: Guard) -> bool {
        self.0 & (1 << guard as u16) != 0
    }

    /// Returns the view that the core gets instead of `view`.
    pub(crate) fn blind(self, view: &View, question: Question) -> View {
        let mut shown = *view;
        if let Question::Place { on, .. } = question
            && self.lacks(Guard::Zombie)
        {
            shown.zom[on] = None;
        }
        if let Question::Sample { server, .. } = question {
            if self.lacks(Guard::Green) && view.health[server].is_some() {
                shown.health[server] = Some(Counters { recover: u8::MAX, error: 0 });
            }
            if self.lacks(Guard::Returned) {
                shown.health[server] = Some(Counters { recover: 0, error: u8::MAX });
            }
        }
        shown
    }

    /// Edits the decision of the core about `view`.
    pub(crate) fn edit(self, view: &View, question: Question, decision: &mut Decision) {
        let leads = matches!(question, Question::Sample { .. } | Question::EndNotFound { .. });
        let unseen = self.lacks(Guard::Seen) || (leads && self.lacks(Guard::SeenByLeader));
        if self.lacks(Guard::Restore) && leads && view.rec.is_none() {
            decision.plans.retain(|plan| !restores(view, plan));
        }
        if let Question::Sample { server, .. } = question
            && self.lacks(Guard::Asked)
        {
            let elsewhere = decision.verify.iter().filter(|(asked, ..)| *asked != server);
            decision.plans.extend(elsewhere.map(|(.., plan)| plan.clone()));
            decision.verify.retain(|(asked, ..)| *asked == server);
        }
        if matches!(question, Question::Panic { .. }) && self.lacks(Guard::Disabled) {
            decision.plans.iter_mut().for_each(|plan| plan.guards.retain(|(slot, _)| !is_server(*slot)));
        }
        let marks = decision.ends.iter_mut().map(|(mark, _)| mark);
        let verified = decision.verify.iter_mut().map(|(.., plan)| plan);
        for plan in decision.plans.iter_mut().chain(marks).chain(verified) {
            if unseen {
                plan.guards.retain(|(slot, _)| matches!(slot, Slot::Server(_) | Slot::Health(_)));
            }
            self.edit_plan(view, plan);
        }
    }

    fn edit_plan(self, view: &View, plan: &mut Transaction) {
        if self.lacks(Guard::Choice) {
            plan.guards.retain(|(slot, _)| !matches!(slot, Slot::Server(_) | Slot::Health(_)));
        }
        if self.lacks(Guard::Zombie) {
            plan.guards.retain(|(slot, absent)| !(matches!(slot, Slot::Zombie(_)) && *absent));
        }
        if self.lacks(Guard::Arrival) {
            plan.guards.retain(|(slot, _)| !matches!(slot, Slot::Sample(_)));
            let arrives = plan.puts.iter().any(|put| matches!(put, Put::Record(Some(_))));
            plan.puts.retain(|put| !arrives || !matches!(put, Put::Admin(..)));
        }
        if self.lacks(Guard::GivenUp) && plan.puts.iter().all(|put| matches!(put, Put::Zombie(..))) {
            plan.puts.retain(|put| !gives_up(view, *put));
        }
        if self.lacks(Guard::ConfirmFirst) {
            for put in &mut plan.puts {
                if let Put::Zombie(_, Some(zombie)) = put
                    && zombie.state == ZomState::Waiting
                {
                    zombie.state = ZomState::Due;
                }
            }
        }
        if self.lacks(Guard::Returns) && returns(view, plan) {
            plan.puts.retain(|put| !matches!(put, Put::Zombie(..)));
            plan.puts.iter_mut().filter(|put| matches!(put, Put::Record(_))).for_each(|put| {
                *put = Put::Record(None);
            });
        }
    }
}

fn is_server(slot: Slot) -> bool {
    matches!(slot, Slot::Server(_))
}

/// Returns whether a write makes a *waiting* zombie *due* without a replacement.
fn gives_up(view: &View, put: Put) -> bool {
    let Put::Zombie(server, Some(zombie)) = put else { return false };
    let was = view.zom[server].map(|zombie| zombie.state);
    (was, zombie.state) == (Some(ZomState::Waiting), ZomState::Due) && view.admin[server] == Admin::Disabled
}

/// Returns whether a plan gives a free id back to a *waiting* instance.
fn restores(view: &View, plan: &Transaction) -> bool {
    plan.puts.iter().any(|put| match put {
        Put::Record(Some(Rec { state: RecState::Active(instance), server, .. })) => view.zom
            [usize::from(*server)]
        .is_some_and(|zombie| zombie.state == ZomState::Waiting && zombie.instance == Some(*instance)),
        _ => false,
    })
}

/// Returns whether a plan gives a PENDING record back to the instance that it had superseded.
fn returns(view: &View, plan: &Transaction) -> bool {
    let Some(Rec { state: RecState::Pending, server, .. }) = view.rec else { return false };
    plan.puts.iter().any(|put| match put {
        Put::Record(Some(rec)) => rec.is_active_elsewhere(usize::from(server)),
        _ => false,
    })
}
