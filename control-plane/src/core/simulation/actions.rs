//! The possible steps of a simulated cluster.

use std::time::Duration;

use bytes::Bytes;
use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::ZombieKey,
    server::HealthRecord,
};

use super::world::{Create, MEETINGS, Poll, World};
use crate::core::{
    health::look_ok,
    instance::create_time_of,
    lifecycle::{CreateAnswer, CreateCertainty, CreateRequest, PlacementOutcome, abandon, confirm, place},
    placement::InflightPlacements,
    plan::PlanWrite,
    reconcile,
    testkit::{health, key, to_place},
    voice::VoiceWish,
};

impl World {
    /// Performs one step, which the choice selects.
    pub(super) fn step(&mut self, choice: u16) {
        let choice = usize::from(choice);
        let (what, which) = (choice % 32, choice / 32);
        self.note(|| format!("step {what} {which}"));
        match what {
            0..=3 => self.begin_create(which),
            4..=10 => self.advance_create(which),
            11 => self.arrive_late(which),
            12..=18 => self.advance_poll(which),
            19 | 20 => self.commit_plan(which),
            21 | 22 => self.advance_end(which),
            23 | 24 => self.flip_health(which),
            25 => self.end_itself(which),
            26 => self.application_ends(which),
            27 => self.catch_up(which % 2),
            28 => self.pass(which),
            29 => self.operate(which),
            30 => self.sweep(),
            _ => (0..2).for_each(|replica| self.catch_up(replica)),
        }
    }

    fn begin_create(&mut self, which: usize) {
        let meeting = Self::some_meeting(which);
        let fleet = &self.replicas[which / 2 % 2];
        let token = format!("t{}", self.next);
        let request = CreateRequest {
            placement: to_place(meeting.meeting.as_str()),
            token: token.clone(),
            request_digest: Bytes::new(),
            supersede: which % 16 == 15,
            voice: VoiceWish::default(),
            parent: None,
        };
        let Ok(step) = place(fleet, &InflightPlacements::default(), &request, self.now) else { return };
        self.next += 1;
        self.note(|| format!("  create {meeting} {:?}", step.outcome));
        self.creates.push(match step.outcome {
            PlacementOutcome::Existing(record) => {
                Create::Sent { meeting, token: None, server: record.server }
            }
            PlacementOutcome::New { record, .. } => {
                Create::Placing { meeting, token, server: record.server, plan: step.plan }
            }
        });
    }

    fn advance_create(&mut self, which: usize) {
        if self.creates.is_empty() {
            return;
        }
        let create = self.creates.remove(which % self.creates.len());
        let fate = which / 8 % 8;
        self.note(|| format!("  advance {create:?} fate {fate}"));
        match create {
            Create::Placing { meeting, token, server, plan } => {
                if self.commit(&plan) && fate != 7 {
                    self.creates.push(Create::Sent { meeting, token: Some(token), server });
                }
            }
            Create::Sent { meeting, token, server } => match fate {
                0..=4 => {
                    let internal_id = self.arrive(&server, &meeting);
                    let create_time_ms = create_time_of(&internal_id);
                    let answer = CreateAnswer { server, token, internal_id, create_time_ms, breakout: false };
                    self.creates.push(Create::Answered { meeting, answer });
                }
                5 => self.give_up(meeting, token, server, CreateCertainty::Definite),
                6 => {
                    self.orphans.push((server.clone(), meeting.clone()));
                    self.give_up(meeting, token, server, CreateCertainty::Unknown);
                }
                _ => self.orphans.push((server, meeting)), // the edge died
            },
            Create::Answered { meeting, answer } => match fate {
                0..=5 => self.confirm(meeting, answer),
                6 => self.give_up(meeting, answer.token, answer.server, CreateCertainty::Unknown),
                _ => {} // the edge died
            },
            Create::Abandoning { meeting, token, server, certainty } => {
                let fleet = &self.replicas[which % 2];
                let step = abandon(fleet, &meeting, &server, &token, certainty, self.now.wall_ms);
                if !self.commit(&step.plan) || fleet_is_behind(self, which % 2) && !step.outcome {
                    self.catch_up(which % 2);
                    self.creates.push(Create::Abandoning { meeting, token, server, certainty });
                }
            }
        }
    }

    fn give_up(
        &mut self,
        meeting: usher_model::meeting::MeetingKey,
        token: Option<String>,
        server: ServerId,
        certainty: CreateCertainty,
    ) {
        if let Some(token) = token {
            self.creates.push(Create::Abandoning { meeting, token, server, certainty });
        }
    }

    fn confirm(&mut self, meeting: usher_model::meeting::MeetingKey, answer: CreateAnswer) {
        // The replica of the request has applied the writes of the placement.
        let replica = self.replicas.iter().position(|fleet| fleet.revision().seq == self.store.revision);
        let replica = replica.unwrap_or_else(|| {
            self.catch_up(1);
            1
        });
        let step = confirm(&self.replicas[replica], &meeting, &answer, self.now.wall_ms);
        if self.commit(&step.plan) {
            if step.outcome {
                self.acked.insert(answer.internal_id);
            }
        } else {
            self.creates.push(Create::Answered { meeting, answer });
        }
    }

    fn arrive_late(&mut self, which: usize) {
        if !self.orphans.is_empty() {
            let (server, meeting) = self.orphans.remove(which % self.orphans.len());
            if !(which / 16).is_multiple_of(4) {
                let id = self.arrive(&server, &meeting);
                self.note(|| format!("  late request makes {id} on {server}"));
            }
        }
    }

    fn advance_poll(&mut self, which: usize) {
        let server = self.some_server(which);
        let leader = which / 4 % 2;
        match self.polls.remove(&server) {
            None => {
                let watermark = self.replicas[leader].revision().seq;
                if self.replicas[leader].is_polled(&server) {
                    self.polls.insert(server, Poll { watermark, sent_at: self.now.instant, seen: None });
                }
            }
            Some(mut poll) if poll.seen.is_none() => {
                if !(which / 8).is_multiple_of(8) {
                    poll.seen = Some(self.sample(&server, poll.watermark));
                    self.polls.insert(server, poll);
                }
            }
            Some(poll) => self.apply_poll(&server, &poll, leader),
        }
    }

    pub(super) fn apply_poll(&mut self, server: &ServerId, poll: &Poll, leader: usize) {
        let Some(sample) = &poll.seen else { return };
        if self.replicas[leader].revision().seq < poll.watermark {
            self.catch_up(leader);
        }
        let fleet = &self.replicas[leader];
        let work = reconcile::on_sample(fleet, server, sample, poll.sent_at, self.now);
        // A server that was disabled meanwhile has no sample: its meetings are unknown until it has one
        // again.
        let asked = look_ok(fleet, server, sample.clone());
        self.note(|| format!("  poll of {server} at {} saw {:?}", poll.watermark, instances(sample)));
        self.commit(&asked);
        self.plans.extend(work.plans);
        for end in work.ends {
            if self.commit(&end.mark) {
                self.ends.push((server.clone(), end.internal_id));
            }
        }
        // These lists tell the truth: the watermark alone must do, without asking again.
        self.plans.extend(work.verify.into_iter().map(|verify| verify.if_gone));
    }

    fn commit_plan(&mut self, which: usize) {
        if !self.plans.is_empty() {
            let plan = self.plans.remove(which % self.plans.len());
            self.commit(&plan);
        }
    }

    fn advance_end(&mut self, which: usize) {
        if !self.ends.is_empty() {
            let (server, id) = self.ends.remove(which % self.ends.len());
            match which / 8 % 4 {
                0 => {}
                1 => self.ends.push((server, id)),
                _ => {
                    if !self.end_arrives(&server, &id) {
                        self.end_not_found(&server, &id);
                    }
                }
            }
        }
    }

    fn end_not_found(&mut self, server: &ServerId, id: &InternalMeetingId) {
        for name in MEETINGS {
            let zombie = ZombieKey { meeting: key(name), server: server.clone() };
            let plan = reconcile::on_end_not_found(&self.replicas[0], &zombie, id);
            self.plans.push(plan);
        }
    }

    fn flip_health(&mut self, which: usize) {
        let server = self.some_server(which);
        let policy = self.replicas[0].policy();
        let (recover, error) = match which / 4 % 4 {
            0 => (0, 1),
            1 => (0, policy.unhealthy_threshold),
            _ => (policy.healthy_threshold, 0),
        };
        let record = HealthRecord { since_ms: self.now.wall_ms, ..health(recover, error) };
        let write = PlanWrite::Health(server, record);
        self.commit(&crate::core::plan::Plan { guards: Vec::new(), writes: vec![write] });
    }

    fn end_itself(&mut self, which: usize) {
        if let Some(place) = self.live.keys().nth(which % self.live.len().max(1)).cloned() {
            self.live.remove(&place);
        }
    }

    fn pass(&mut self, which: usize) {
        let seconds = [1, 5, 20, 40, 120, 400][which % 6];
        self.now.instant += Duration::from_secs(seconds);
        self.now.wall_ms += i64::try_from(seconds).unwrap() * 1000;
    }

    fn sweep(&mut self) {
        let work = reconcile::sweep(&self.replicas[0], reconcile::MissingServer::Removed, self.now);
        self.plans.extend(work.plans.into_iter().chain(work.given_up));
    }
}

fn instances(sample: &usher_model::server::ServerSample) -> Vec<&str> {
    sample.meetings.iter().map(|meeting| meeting.internal_id.as_str()).collect()
}

fn fleet_is_behind(world: &World, replica: usize) -> bool {
    world.replicas[replica].revision().seq < world.store.revision
}
