//! Polls, the leader's decisions about them, and the `end` calls that follow.

use super::{Cluster, Draft, Label, Next};
use crate::{
    bounds::Second,
    core_calls::Question,
    state::{Admin, Create, Poll, RecState, SERVERS, State, bit},
    transaction::Put,
    weak::Guard,
};

impl Cluster {
    pub(super) fn polls(&self, state: &State, out: &mut Vec<Next>) {
        // A deposed leader goes on with its unfinished work.
        let leaders = usize::from(state.leader)..1 + usize::from(self.bounds.second == Second::Deposed);
        for (replica, server) in leaders.flat_map(|replica| SERVERS.map(|server| (replica, server))) {
            let mut draft = self.draft(state);
            match state.polls[replica][server] {
                None => {
                    let view = state.view(replica);
                    let leads = usize::from(state.leader) == replica;
                    if leads && (view.admin[server] != Admin::Disabled || view.zom[server].is_some()) {
                        draft.state.polls[replica][server] = Some(asked(state, replica));
                        draft.end(Label("a poll is sent, replica and server", replica, server), out);
                    }
                }
                Some(poll @ Poll { seen: None, .. }) => {
                    let seen = Some(state.live[server]);
                    draft.state.polls[replica][server] = Some(Poll { seen, ..poll });
                    draft.end(Label("the server lists instance", server, state.live[server].into()), out);
                }
                Some(poll) => {
                    self.apply(state, replica, server, poll, out);
                    self.adopt(state, replica, server, poll, out);
                }
            }
        }
        for server in SERVERS {
            for instance in (1..state.next).filter(|instance| state.ends[server] & bit(*instance) != 0) {
                self.ends(state, server, instance, out);
            }
        }
    }

    fn apply(&self, state: &State, replica: usize, server: usize, poll: Poll, out: &mut Vec<Next>) {
        let ending = |state: &RecState| matches!(state, RecState::Ending(_));
        let doubtful = state.view(replica).rec.is_some_and(|rec| ending(&rec.state));
        for waited in [true, false].into_iter().take(1 + usize::from(doubtful)) {
            let mut draft = self.draft(state);
            draft.state.polls[replica][server] = None;
            if replica == usize::from(state.leader)
                && !poll.server_changed
                && state.store.admin[server] != Admin::Disabled
            {
                draft.put(Put::Sample(server, poll.seen == Some(0)));
            }
            draft.reconcile(replica, server, poll, waited);
            draft.end(Label("the poll is applied, replica and server", replica, server), out);
        }
    }

    /// An operator adopts the listed meetings: any replica may serve the request, and needs no token.
    fn adopt(&self, state: &State, replica: usize, server: usize, poll: Poll, out: &mut Vec<Next>) {
        if state.spent.adopts >= self.bounds.adopts {
            return;
        }
        let mut draft = self.draft(state);
        draft.state.spent.adopts += 1;
        draft.state.polls[replica][server] = None;
        let marked = draft.is_marked(poll);
        let question = Question::Adopt { server, poll: Poll { server_changed: false, ..poll }, marked };
        let decision = self.core.ask(state.view(replica), question);
        let done = decision.plans.iter().all(|plan| draft.commit(replica, plan));
        if done && decision.yes {
            draft.end(Label("what is listed is taken over, replica and server", replica, server), out);
        }
    }

    fn ends(&self, state: &State, server: usize, instance: u8, out: &mut Vec<Next>) {
        let mut draft = self.draft(state);
        draft.state.ends[server] &= !bit(instance);
        if draft.end_arrives(server, instance) {
            draft.end(Label("an end arrives, server and instance", server, instance.into()), out);
        } else {
            let replica = usize::from(state.leader);
            let question = Question::EndNotFound { server, instance };
            let decision = self.core.ask(state.view(replica), question);
            decision.plans.iter().for_each(|plan| {
                draft.commit_fenced(replica, plan);
            });
            draft.end(Label("an end finds nothing, server and instance", server, instance.into()), out);
        }
    }
}

impl Draft<'_> {
    /// Returns whether the listed meeting carries our mark.
    fn is_marked(&self, poll: Poll) -> bool {
        self.state.foreign & poll.seen.map_or(0, bit) & !1 == 0
    }

    /// Performs the decisions of a leader, or of a replica that believes to lead, about a poll.
    pub(super) fn reconcile(&mut self, replica: usize, server: usize, poll: Poll, waited: bool) {
        let view = *self.state.view(replica);
        let marked = self.is_marked(poll) || self.cluster.weak.lacks(Guard::Mark);
        let question =
            Question::Sample { server, poll: Poll { server_changed: false, ..poll }, waited, marked };
        let decision = self.cluster.core.ask(&view, question);
        for plan in &decision.plans {
            self.commit_fenced(replica, plan);
        }
        for (asked, instance, if_gone) in &decision.verify {
            if self.state.live[*asked] != *instance {
                self.commit_fenced(replica, if_gone);
            }
        }
        for (mark, instance) in &decision.ends {
            // Without a mark to write no guard stops a deposed leader: its call may come late.
            if mark.puts.is_empty()
                || self.commit_fenced(replica, mark)
                || self.cluster.weak.lacks(Guard::MarkFirst)
            {
                self.state.ends[server] |= bit(*instance);
            }
        }
    }
}

/// A poll as it is sent by a replica.
fn asked(state: &State, replica: usize) -> Poll {
    // The create of a PENDING record ends only after its deadline.
    let under_way = state.view(replica).rec.is_some_and(|rec| {
        rec.state == RecState::Pending
            && state.creates.get(usize::from(rec.token).wrapping_sub(1)).is_some_and(|c| *c != Create::Gone)
    });
    let (record_changed, zombie_changed, server_changed) = (false, false, false);
    Poll { seen: None, record_changed, zombie_changed, server_changed, late: !under_way }
}
