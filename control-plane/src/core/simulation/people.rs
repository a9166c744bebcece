//! Actions of applications and operators on a simulated cluster.

use usher_model::{
    id::ServerId,
    meeting::{MeetingKey, RecordState},
    routing::RouteState,
    server::{AdminState, Health},
};

use super::world::World;
use crate::core::{
    lifecycle::{self, EndReport, EndReportOutcome, report_end, supersede},
    testkit::sid,
};

impl World {
    /// An application ends a meeting through an edge that routes by one replica's table.
    pub(super) fn application_ends(&mut self, which: usize) {
        let meeting = Self::some_meeting(which);
        let replica = which / 2 % 2;
        let Some(route) = self.replicas[replica].routing().meeting(&meeting).cloned() else { return };
        let offline = self.replicas[replica]
            .server(&route.server)
            .is_none_or(|server| server.health() == Health::Offline);
        let place = (route.server.clone(), meeting.clone());
        let instance = if offline {
            match &route.state {
                RouteState::Active(id) => Some(id.clone()),
                RouteState::Pending => None,
            }
        } else {
            let Some(ended) = self.live.remove(&place) else { return };
            self.released.insert(ended.clone());
            Some(ended)
        };
        // The edge's knowledge from its request about a meeting that was not confirmed.
        let pending = self.replicas[replica].record(&meeting).map(|record| &record.value);
        let pending = pending.filter(|record| record.state == RecordState::Pending);
        let token = pending.map(|record| record.token.clone());
        if (which / 8).is_multiple_of(4) && !offline {
            return; // the edge died before it could report
        }
        for _ in 0..2 {
            let fleet = &self.replicas[replica];
            let named = fleet.record(&meeting).and_then(|record| record.value.state.internal_id().cloned());
            let ended = EndReport { instance: instance.as_ref(), placement: token.as_deref() };
            let step = report_end(fleet, &meeting, &route.server, ended, self.now.wall_ms);
            if self.commit(&step.plan) {
                if step.outcome == EndReportOutcome::Unrouted {
                    self.released.extend(named);
                    self.release_waiting(replica, &meeting);
                }
                return;
            }
            self.catch_up(replica);
        }
    }

    pub(super) fn operate(&mut self, which: usize) {
        let server = self.some_server(which);
        self.catch_up(0);
        match which / 4 % 5 {
            0 => {
                let meeting = Self::some_meeting(which / 16);
                if let Ok(step) = supersede(&self.replicas[0], &meeting, self.now.wall_ms) {
                    self.commit(&step.plan);
                }
            }
            1 if server != sid("a") => self.panic(&server),
            2 => self.set_admin(&server, AdminState::Cordoned),
            3 => self.set_admin(&server, AdminState::Disabled),
            _ => self.set_admin(&server, AdminState::Enabled),
        }
    }

    pub(super) fn set_admin(&mut self, server: &ServerId, admin: AdminState) {
        if let Ok(step) = lifecycle::set_admin(&self.replicas[0], server, admin) {
            self.commit(&step.plan);
        }
    }

    fn release_waiting(&mut self, replica: usize, meeting: &MeetingKey) {
        // The superseded instances were to end with it, as far as the deciding replica saw them.
        let zombies: Vec<_> =
            self.replicas[replica].zombies_of(meeting).map(|(_, z)| z.value.clone()).collect();
        self.released.extend(zombies.into_iter().filter_map(|zombie| zombie.internal_id));
    }
}
