//! Creates on their way, with everything that may become of a request and its answer.

use super::{Cluster, Label, Next};
use crate::{
    core_calls::Question,
    state::{Admin, AppEnd, Create, Meant, RecState, SERVERS, State, bit},
};

impl Cluster {
    pub(super) fn creates(&self, state: &State, out: &mut Vec<Next>) {
        for index in 0..self.bounds.creates {
            match state.creates[index] {
                Create::Unborn if index == 0 || state.creates[index - 1] != Create::Unborn => {
                    self.begin(state, index, false, out);
                    if state.spent.supersedes < self.bounds.supersedes {
                        self.begin(state, index, true, out);
                    }
                }
                Create::Unborn | Create::Gone => {}
                Create::Sent { to, placed } => self.sent(state, index, usize::from(to), placed, out),
                Create::Answered { to, placed, instance } => {
                    self.answered(state, index, (usize::from(to), placed, instance), out);
                }
            }
        }
        for server in SERVERS.into_iter().filter(|server| state.orphans[*server] > 0) {
            let mut draft = self.draft(state);
            draft.state.orphans[server] -= 1;
            draft.state.arrive(server);
            draft.end(Label("a late request arrives at server", server, 0), out);
        }
    }

    fn begin(&self, state: &State, index: usize, supersede: bool, out: &mut Vec<Next>) {
        if state.spent.wipes > 0 && state.store.rec.is_none() && state.live != [0; 2] {
            return; // after a loss, no create before polls have rebuilt the records
        }
        for replica in self.replicas(state) {
            for on in SERVERS {
                let question = Question::Place { token: index as u8 + 1, on, supersede };
                let decision = self.core.ask(state.view(replica), question);
                let Some(to) = decision.to else { continue };
                let mut draft = self.draft(state);
                draft.state.spent.supersedes += u8::from(supersede);
                let placed = !decision.plans.is_empty();
                let stands = state.view(replica).rec.filter(|rec| matches!(rec.state, RecState::Active(_)));
                if let Some(rec) = stands
                    && !placed
                    && state.view(replica).admin[to] == Admin::Cordoned
                    && state.live[to] == 0
                {
                    // The edge asks first, hears that it is gone, and reports that.
                    if draft.state.app_end.replace(AppEnd::Answered(Meant::of(rec))).is_none() {
                        draft.end(Label("create finds nothing on cordoned server", index, to), out);
                    }
                    continue;
                }
                if decision.plans.iter().all(|plan| draft.commit(replica, plan)) {
                    draft.state.creates[index] = Create::Sent { to: to as u8, placed };
                    let what = match (placed, supersede) {
                        (true, false) => "create is placed on server",
                        (true, true) => "create supersedes, placed on server",
                        (false, _) => "create is forwarded to server",
                    };
                    draft.end(Label(what, index, to), out);
                }
            }
        }
    }

    fn sent(&self, state: &State, index: usize, to: usize, placed: bool, out: &mut Vec<Next>) {
        let mut draft = self.draft(state);
        let instance = draft.state.arrive(to);
        draft.state.creates[index] = Create::Answered { to: to as u8, placed, instance };
        draft.end(Label("create is answered by server", index, to), out);
        if self.bounds.reliable {
            return;
        }
        self.give_up(
            state,
            (index, to, placed),
            Some(false),
            Label("create is refused by server", index, to),
            out,
        );
        let mut late = *state;
        late.orphans[to] += 1;
        if placed {
            let label = Label("create gets no answer and still travels to server", index, to);
            self.give_up(&late, (index, to, placed), Some(true), label, out);
        }
        let label = Label("the edge of create is gone, its request travels to server", index, to);
        self.give_up(&late, (index, to, placed), None, label, out);
    }

    fn answered(&self, state: &State, index: usize, answer: (usize, bool, u8), out: &mut Vec<Next>) {
        let (to, placed, instance) = answer;
        for replica in self.replicas(state) {
            let token = placed.then_some(index as u8 + 1);
            let question = Question::Confirm { server: to, token, instance };
            let decision = self.core.ask(state.view(replica), question);
            let mut draft = self.draft(state);
            if !decision.plans.iter().all(|plan| draft.commit(replica, plan)) {
                continue; // refused: it is decided again from a newer view
            }
            draft.state.creates[index] = Create::Gone;
            if decision.yes {
                draft.state.acked |= bit(instance);
                draft.end(Label("create is confirmed, replica", index, replica), out);
            } else {
                draft.end(Label("create is told to try again, replica", index, replica), out);
            }
        }
        if !self.bounds.reliable {
            let label = Label("the answer of create is lost, from server", index, to);
            self.give_up(state, (index, to, placed), placed.then_some(true), label, out);
        }
    }

    /// An edge abandons a create and reports that, surely undone or not, or reports no result.
    fn give_up(
        &self,
        state: &State,
        (index, to, placed): (usize, usize, bool),
        unknown: Option<bool>,
        label: Label,
        out: &mut Vec<Next>,
    ) {
        let mut draft = self.draft(state);
        draft.state.creates[index] = Create::Gone;
        let Some(unknown) = unknown.filter(|_| placed) else { return draft.end(label, out) };
        for replica in self.replicas(state) {
            let question = Question::Abandon { server: to, token: index as u8 + 1, unknown };
            let decision = self.core.ask(state.view(replica), question);
            let mut draft = draft.clone();
            if decision.plans.iter().all(|plan| draft.commit(replica, plan)) {
                draft.end(label, out);
            }
        }
    }
}
