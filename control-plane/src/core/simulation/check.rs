//! Invariants once every message under way has arrived.

use std::collections::BTreeSet;

use usher_model::{
    id::InternalMeetingId,
    meeting::RecordState,
    server::{AdminState, Health},
};

use super::world::{Create, Poll, World};
use crate::core::{
    fleet::Fleet,
    lifecycle::abandon,
    plan::PlanWrite,
    testkit::{health, sid},
};

/// Rounds of polls after which a cluster left alone is at rest.
const ROUNDS: usize = 12;

impl World {
    /// Ends all work under way, heals every server and polls until the state is stable.
    pub(super) fn settle(&mut self) {
        self.note(|| "settle".into());
        for create in std::mem::take(&mut self.creates) {
            if let Create::Abandoning { meeting, token, server, certainty } = create {
                self.catch_up(0);
                let now_ms = self.now.wall_ms;
                let step = abandon(&self.replicas[0], &meeting, &server, &token, certainty, now_ms);
                self.commit(&step.plan);
            }
        }
        self.orphans.clear();
        self.polls.clear();
        self.ends.clear();
        for plan in std::mem::take(&mut self.plans) {
            self.commit(&plan);
        }
        for server in self.servers() {
            self.catch_up(0);
            self.set_admin(&server, AdminState::Enabled);
            let online = self.replicas[0].policy().healthy_threshold;
            let write = PlanWrite::Health(server, health(online, 0));
            self.commit(&crate::core::plan::Plan { guards: Vec::new(), writes: vec![write] });
        }
        self.now.instant += std::time::Duration::from_mins(10);
        let lived: BTreeSet<InternalMeetingId> = self.live.values().cloned().collect();
        for _ in 0..ROUNDS {
            for server in self.servers() {
                self.catch_up(0);
                let watermark = self.replicas[0].revision().seq;
                let seen = Some(self.sample(&server, watermark));
                let poll = Poll { watermark, sent_at: self.now.instant, seen };
                self.apply_poll(&server, &poll, 0);
                for plan in std::mem::take(&mut self.plans) {
                    self.commit(&plan);
                }
                for (server, id) in std::mem::take(&mut self.ends) {
                    self.end_arrives(&server, &id);
                }
            }
        }
        let left: BTreeSet<InternalMeetingId> = self.live.values().cloned().collect();
        for id in &lived {
            if self.acked.contains(id) && !self.released.contains(id) && !left.contains(id) {
                self.fail(format!("I3: acknowledged {id} was lost at rest"));
            }
        }
        (0..2).for_each(|replica| self.catch_up(replica));
    }

    /// I1–I4 and I9 at rest.
    pub(super) fn check_at_rest(&self) -> Result<(), String> {
        self.verdict()?;
        let fleet = &self.replicas[0];
        for ((server, meeting), id) in &self.live {
            let record = fleet.record(meeting).map(|stored| &stored.value);
            let routed = record.is_some_and(|record| {
                record.server == *server
                    && matches!(&record.state, RecordState::Active { internal_id, .. } if internal_id == id)
            });
            if !routed {
                return Err(format!("I4: {id} leaked on {server}; record {record:?}"));
            }
        }
        for (meeting, stored) in fleet.records() {
            let record = &stored.value;
            let place = (record.server.clone(), meeting.clone());
            if self.live.get(&place) != record.state.internal_id() {
                return Err(format!("the record of {meeting} names what does not run: {record:?}"));
            }
        }
        if let Some((zombie, _)) = fleet.zombies().next() {
            return Err(format!("{zombie:?} was not reaped"));
        }
        self.check_replicas()
    }

    /// I9: replicas at one revision hold equal tables, also one that has just read the whole store.
    fn check_replicas(&self) -> Result<(), String> {
        let mut fresh = Fleet::new(7, self.replicas[0].policy().clone());
        fresh.apply(self.store.revision, self.store.listing(), self.now.instant);
        for fleet in &self.replicas {
            if fleet.routing() != fresh.routing() {
                return Err("I9: routing tables differ at one revision".into());
            }
            for server in fresh.servers() {
                let other = fleet.server(server.id()).ok_or("a server is missing")?;
                if (server.pending(), server.health()) != (other.pending(), other.health()) {
                    return Err(format!("replicas see {} differently", server.id()));
                }
                if server.health() != Health::Online && server.id() != &sid("a") {
                    return Err(format!("{} was not healed", server.id()));
                }
            }
        }
        Ok(())
    }
}
