//! Steps beside creates and polls: health, applications, operators, time, losses, leaders.

use usher_model::server::Health;

use super::{Cluster, Draft, Label, Next};
use crate::{
    bounds::Second,
    core_calls::{Event, Question},
    state::{Admin, AppEnd, Meant, Rec, RecState, SERVERS, State, bit},
    transaction::{Put, Transaction},
    weak::Guard,
};

impl Cluster {
    pub(super) fn around(&self, state: &State, out: &mut Vec<Next>) {
        for server in SERVERS {
            self.checks(state, server, out);
            self.operator(state, server, out);
            if state.live[server] != 0 && state.spent.own_ends < self.bounds.own_ends {
                let mut draft = self.draft(state);
                draft.state.spent.own_ends += 1;
                draft.state.set_live(server, 0);
                draft.end(Label("the meeting ends by itself on server", server, 0), out);
            }
        }
        self.application(state, out);
        self.housekeeping(state, out);
        if state.lag.is_some() && self.bounds.second == Second::Behind {
            let mut draft = self.draft(state);
            draft.catch_up();
            draft.end(Label("the replica that is behind catches up", 1, 0), out);
        }
        if state.leader == 1 {
            let mut draft = self.draft(state);
            draft.state.leader = 0;
            draft.end(Label("another replica leads", 0, 0), out);
        }
    }

    fn checks(&self, state: &State, server: usize, out: &mut Vec<Next>) {
        if state.store.admin[server] == Admin::Disabled {
            return;
        }
        for (event, costs, what) in [
            (Event::PollOk, false, "a check of a server succeeds"),
            (Event::PollFailed, true, "a check of a server fails"),
            (Event::CallFailed, true, "a call to a server fails"),
        ] {
            let was = state.store.health[server];
            let Some(counters) = self.core.judge(was, event) else { continue };
            let mut draft = self.draft(state);
            draft.state.spent.faults += u8::from(costs);
            if draft.state.spent.faults > self.bounds.faults {
                continue;
            }
            draft.put(Put::Health(server, Some(counters)));
            let (from, to) = (self.health(&state.store, server), self.health(&draft.state.store, server));
            match (from, to) {
                (Health::Offline, Health::Unhealthy) => {
                    draft.fail(|| "I6: an offline server became unhealthy".into());
                }
                (Health::Online, Health::Offline) if self.bounds.unhealthy_threshold > 1 => {
                    draft.fail(|| "I6: an online server became offline at once".into());
                }
                _ => {}
            }
            if to == Health::Online && counters.error > 0 {
                draft.fail(|| "I5: online with errors".into());
            }
            draft.end(Label(what, server, 0), out);
        }
    }

    fn operator(&self, state: &State, server: usize, out: &mut Vec<Next>) {
        self.cordon(state, server, out);
        let disabled = state.store.admin[server] == Admin::Disabled;
        if !disabled && state.spent.panics < self.bounds.panics {
            let mut draft = self.draft(state);
            draft.state.spent.panics += 1;
            draft.state.panicked[server] = true;
            draft.state.release(Some(state.live[server]).filter(|live| *live != 0));
            draft.carry_out(Question::Panic { server });
            draft.end(Label("panic: server is disabled", server, 0), out);
        }
        for replica in self.replicas(state) {
            // One that is behind may carry a panic on although the server is enabled again.
            if state.view(replica).admin[server] == Admin::Disabled {
                let mut draft = self.draft(state);
                draft.empty_disabled(replica, server);
                draft.end(Label("what is on the disabled server is given up", server, replica), out);
            }
        }
        if state.store.admin[server] != Admin::Enabled {
            let mut draft = self.draft(state);
            draft.state.panicked[server] = false;
            draft.carry_out(Question::Enable { server });
            draft.end(Label("server is enabled", server, 0), out);
        }
    }

    /// An operator, by any replica, or the leader's sweep takes a server out once it is empty.
    fn cordon(&self, state: &State, server: usize, out: &mut Vec<Next>) {
        for replica in self.replicas(state) {
            let cordoned = state.view(replica).admin[server] == Admin::Cordoned;
            if !cordoned && state.spent.cordons >= self.bounds.cordons {
                continue;
            }
            let mut draft = self.draft(state);
            draft.state.spent.cordons += u8::from(!cordoned);
            let decision = self.core.ask(state.view(replica), Question::Disable { server });
            if !decision.plans.is_empty() && decision.plans.iter().all(|plan| draft.commit(replica, plan)) {
                let what = if cordoned { "cordoned server is disabled" } else { "server is cordoned" };
                draft.end(Label(what, server, replica), out);
            }
        }
        if state.store.empty[server] {
            let mut draft = self.draft(state);
            if draft.carry_out(Question::Sweep { over: false }) {
                draft.end(Label("the sweep disables the empty server", server, 0), out);
            }
        }
    }

    /// An application's `end`, through an edge that routes by some replica's table.
    fn application(&self, state: &State, out: &mut Vec<Next>) {
        match state.app_end {
            None if state.spent.app_ends < self.bounds.app_ends => {
                for replica in self.replicas(state) {
                    self.app_ends(state, replica, out);
                }
            }
            None => {}
            Some(AppEnd::Sent(meant)) => {
                let (server, mut draft) = (usize::from(meant.server), self.draft(state));
                let live = state.live[server];
                if live != 0 && meant.instance == 0 {
                    // The edge asks first which instance it is.
                    let mut asked = draft.clone();
                    asked.state.app_end = Some(AppEnd::Sent(Meant { instance: live, ..meant }));
                    asked.end(Label("the edge learns the instance on server", server, live.into()), out);
                }
                if live != 0 {
                    draft.state.app_end = Some(AppEnd::Answered(meant));
                    draft.state.release(Some(live));
                    let mut slow = draft.clone();
                    slow.state.ends[server] |= bit(live);
                    slow.end(Label("the application's end is accepted by server", server, 0), out);
                    draft.state.set_live(server, 0);
                    draft.end(Label("the application's end is done by server", server, 0), out);
                }
            }
            Some(AppEnd::Answered(meant)) => {
                let server = usize::from(meant.server);
                for replica in self.replicas(state) {
                    let mut draft = self.draft(state);
                    draft.state.app_end = None;
                    if draft.report_end(replica, meant, false) {
                        draft.end(Label("the end is reported, replica and server", replica, server), out);
                    }
                }
                let mut draft = self.draft(state);
                draft.state.app_end = None;
                draft.end(Label("the report of the end is lost, server", server, 0), out);
            }
        }
    }

    fn app_ends(&self, state: &State, replica: usize, out: &mut Vec<Next>) {
        let view = state.view(replica);
        let Some(rec) = view.rec.filter(|rec| !matches!(rec.state, RecState::Ending(_))) else { return };
        let server = usize::from(rec.server);
        if view.admin[server] == Admin::Disabled {
            return;
        }
        let mut draft = self.draft(state);
        draft.state.spent.app_ends += 1;
        if self.health(view, server) != Health::Offline {
            draft.state.app_end = Some(AppEnd::Sent(Meant::of(rec)));
            draft.end(Label("the application ends the meeting on server", server, 0), out);
        } else if draft.report_end(replica, Meant::of(rec), true) {
            draft.end(Label("the application ends the meeting on the offline server", server, 0), out);
        }
    }

    fn housekeeping(&self, state: &State, out: &mut Vec<Next>) {
        if state.spent.supersedes < self.bounds.supersedes {
            let mut draft = self.draft(state);
            draft.state.spent.supersedes += 1;
            if draft.carry_out(Question::Supersede) {
                draft.end(Label("an operator supersedes the meeting", 0, 0), out);
            }
        }
        if state.spent.sweeps < self.bounds.sweeps {
            let mut draft = self.draft(state);
            draft.state.spent.sweeps += 1;
            let decision = self.core.ask(&state.store, Question::Sweep { over: true });
            let age_counts = !self.weak.lacks(Guard::Ttl);
            for put in decision.plans.iter().flat_map(|plan| &plan.puts).filter(|_| age_counts) {
                match *put {
                    Put::Record(None) => draft.state.release(state.store.rec.and_then(Rec::instance)),
                    Put::Zombie(server, None) => {
                        draft.state.release(state.store.zom[server].and_then(|zombie| zombie.instance));
                    }
                    _ => {}
                }
            }
            if draft.carry_out(Question::Sweep { over: true }) {
                draft.end(Label("zombie_ttl has passed", 0, 0), out);
            }
        }
        let idle = (state.orphans, state.ends, state.polls) == ([0; 2], [0; 2], [[None; 2]; 2]);
        // Of two instances that run under one id, polls cannot tell which was acknowledged last.
        let single = (state.aliased || state.live.contains(&0)) && state.store.zom == [None; 2];
        if idle
            && single
            && state.is_quiet()
            && state.spent.wipes < self.bounds.wipes
            && state.store.rec.is_some()
        {
            let mut draft = self.draft(state);
            draft.state.spent.wipes += 1;
            draft.put(Put::Record(None));
            draft.state.lag = None; // it starts anew, in another epoch
            draft.end(Label("all records are lost", 0, 0), out);
        }
    }
}

impl Draft<'_> {
    /// Turns the meetings of a disabled server into zombies, as an operator's panic demands.
    pub(super) fn empty_disabled(&mut self, replica: usize, server: usize) {
        if self.state.panicked[server] {
            let here = self.state.store.rec.filter(|rec| usize::from(rec.server) == server);
            self.state.release(here.and_then(Rec::instance));
            self.state.release(self.state.store.zom[server].and_then(|zombie| zombie.instance));
        }
        let decision = self.cluster.core.ask(self.state.view(replica), Question::Panic { server });
        decision.plans.iter().for_each(|plan| {
            self.commit(replica, plan);
        });
    }

    /// Decides from the newest view and commits; returns `false` if the plan is empty.
    fn carry_out(&mut self, question: Question) -> bool {
        let decision = self.cluster.core.ask(&self.state.store, question);
        decision.plans.iter().for_each(|plan| {
            self.commit(0, plan);
        });
        !decision.plans.is_empty()
    }

    /// A replica removes a meeting from routing after a request to end it, which was `unsent` if the
    /// edge took the server for offline; returns `false` if the plan was refused.
    fn report_end(&mut self, replica: usize, meant: Meant, unsent: bool) -> bool {
        let view = *self.state.view(replica);
        let unnamed = view.rec.filter(|_| self.cluster.weak.lacks(Guard::Named)).map(Meant::of);
        let Meant { instance, token, .. } = unnamed.unwrap_or(meant);
        let question = Question::ReportEnd { server: meant.server.into(), instance, token, unsent };
        let decision = self.cluster.core.ask(&view, question);
        let plans: &[Transaction] = &decision.plans;
        if !plans.iter().all(|plan| self.commit(replica, plan)) {
            return false;
        }
        if decision.yes {
            // The superseded instances were to end with it.
            self.state.release(Some(meant.instance).filter(|instance| *instance != 0));
            for server in SERVERS {
                self.state.release(view.zom[server].and_then(|zombie| zombie.instance));
            }
        }
        true
    }
}
