//! The rules for one meeting on one server: its zombie there, its record, and the list of the poll.

mod aliased;
mod double;
mod voice;

use std::time::{Duration, Instant};

use usher_model::{
    id::{InternalMeetingId, TenantId},
    meeting::{MeetingKey, MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    scope::TenantScope,
    server::{AdminState, Health, SampledMeeting, ServerSample},
    settings::AdoptPolicy,
};

use super::{
    end_on_return::ends_on_return,
    findings::{CheckReason, InstanceCheck, InstanceEnd, MeetingFindings},
    listing::ListedIndex,
};
use crate::core::{
    draft::PlanDraft,
    fleet::{Fleet, FleetServer, RecordEntry},
    instance::create_time_of,
    now::Now,
    plan::Stored,
};

/// Age of a record below which its server is queried before a missing meeting counts as ended (F9).
const YOUNG: Duration = Duration::from_mins(5);

/// The inputs that all meetings of one poll share.
pub(super) struct MeetingCase<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) server: &'a FleetServer,
    pub(super) sample: &'a ServerSample,
    pub(super) listing: &'a ListedIndex<'a>,
    pub(super) sent_at: Instant,
    pub(super) now: Now,
}

/// One meeting with the state that the rules hand on from one to the next.
struct Meeting<'a> {
    case: &'a MeetingCase<'a>,
    key: &'a MeetingKey,
    zombie_key: ZombieKey,
    draft: PlanDraft<'a>,
    outcome: MeetingFindings,
    /// The listed instance, until a rule explains it by a record or a zombie.
    unexplained: Option<&'a SampledMeeting>,
    zombie_stands: bool,
}

impl<'a> MeetingCase<'a> {
    pub(super) fn settle(&'a self, key: &'a MeetingKey) -> MeetingFindings {
        let zombie_key = ZombieKey { meeting: key.clone(), server: self.server.id().clone() };
        let zombie = self.fleet.zombie(&zombie_key);
        let mut meeting = Meeting {
            case: self,
            key,
            zombie_stands: zombie.is_some(),
            zombie_key,
            draft: PlanDraft::new(self.fleet, self.now.wall_ms),
            outcome: MeetingFindings::default(),
            unexplained: self.listing.key(key).filter(|listed| listed.ours).map(|listed| listed.meeting),
        };
        if let Some(zombie) = zombie {
            meeting.settle_zombie(&zombie.value);
        }
        meeting.settle_zombie_of_another_entry();
        let entry = self.fleet.record_entry(key);
        if let Some(entry) = entry.filter(|entry| entry.stored.value.server == *self.server.id()) {
            meeting.settle_record(entry);
        }
        meeting.settle_unknown(entry.map(|entry| &entry.stored));
        meeting.settle_voice(entry.map(|entry| &entry.stored.value));
        if meeting.draft.len() > 0 {
            // The guard "the id has no record" can hold again after a record was made and removed
            // meanwhile. Such a record left a zombie here, so the guard of the zombie detects that
            // history.
            meeting.draft.guard_zombie(&meeting.zombie_key);
        }
        meeting.outcome.plan = meeting.draft.into_plan();
        meeting.outcome
    }
}

impl Meeting<'_> {
    /// Ends a *due* zombie that is listed, and removes one that is not.
    fn settle_zombie(&mut self, zombie: &Zombie) {
        let case = self.case;
        let record = case.fleet.record(self.key).map(|stored| &stored.value);
        let internal_id = zombie.internal_id.clone().or_else(|| self.suspect(zombie, record));
        let changed = case.fleet.zombie_changed_since(&self.zombie_key, case.sample.watermark);
        let listed = internal_id.as_ref().and_then(|id| case.listing.instance(id));
        let (Some(internal_id), Some(listed)) = (internal_id, listed) else {
            if !changed {
                self.draft.remove_zombie(&self.zombie_key);
                self.zombie_stands = false;
            }
            return;
        };
        if record.is_some_and(|record| record.names(&internal_id)) {
            self.draft.guard_record(self.key);
            self.draft.remove_zombie(&self.zombie_key); // an instance that a record names is not ended (H8)
            self.zombie_stands = false;
            return;
        }
        self.explain(&internal_id);
        if zombie.internal_id.is_none()
            && let Some(home) = record.and_then(|record| self.home_in_doubt(record, listed))
        {
            return self.name_once_sure(home, internal_id);
        }
        let replaced = record.is_some_and(|record| {
            record.server != self.zombie_key.server && matches!(record.state, RecordState::Active { .. })
        });
        if zombie.state != ZombieState::Waiting || replaced {
            self.end(zombie, internal_id, listed);
        } else if record.is_none() && !changed && !self.record_changed() {
            self.restore(internal_id, listed);
        }
    }

    /// Returns the instance of a suspect zombie, whose internal id is unknown: the listed instance,
    /// unless it belongs to the id's record. A create of Usher leaves the mark, so an instance
    /// without the mark is never meant (I2).
    fn suspect(&self, zombie: &Zombie, record: Option<&MeetingRecord>) -> Option<InternalMeetingId> {
        let listed = self.unexplained.filter(|listed| listed.key.is_some())?;
        if zombie.state == ZombieState::Waiting {
            return None;
        }
        let claimed = record.is_some_and(|record| {
            let pending = record.server == self.zombie_key.server && record.state.internal_id().is_none();
            pending || record.names(&listed.internal_id)
        });
        let waits = self.waits_on_another_entry(&listed.internal_id, record);
        (!claimed && !waits).then(|| listed.internal_id.clone())
    }

    fn end(&mut self, zombie: &Zombie, internal_id: InternalMeetingId, listed: &SampledMeeting) {
        let mut mark = PlanDraft::new(self.case.fleet, self.case.now.wall_ms);
        let marked = zombie.state == ZombieState::Ending && zombie.internal_id.as_ref() == Some(&internal_id);
        if !marked {
            // A create may have been answered with this instance meanwhile, so that a record names
            // it. The guard makes the mark fail then, and the `end` is not sent (I2).
            mark.guard_record(self.key);
            mark.move_zombie(&self.zombie_key, ZombieState::Ending, Some(internal_id.clone()));
        }
        self.outcome.end = Some(InstanceEnd {
            mark: mark.into_plan(),
            zombie: self.zombie_key.clone(),
            internal_id,
            moderator_password: listed.moderator_password.clone(),
        });
    }

    /// Routes a superseded id again if it was not created elsewhere and its server is online again
    /// (A8).
    fn restore(&mut self, internal_id: InternalMeetingId, listed: &SampledMeeting) {
        if self.case.server.health() == Health::Online
            && self.accepts()
            && !self.case.fleet.is_being_ended(self.key, &internal_id)
        {
            self.draft.guard_choice(self.case.server.id());
            self.draft.guard_arrival(self.case.server.id());
            self.draft.remove_zombie(&self.zombie_key);
            self.zombie_stands = false;
            let record = self.adopted(internal_id, listed);
            self.draft.activate(self.key, record);
        }
    }

    /// Compares the record on this server with the list.
    fn settle_record(&mut self, entry: &RecordEntry) {
        let record = &entry.stored.value;
        match &record.state {
            RecordState::Pending => self.settle_pending(entry),
            RecordState::Active { internal_id, .. } => self.settle_active(entry, internal_id),
            RecordState::Ending { internal_id } => self.settle_ending(entry, internal_id.as_ref()),
        }
    }

    fn settle_pending(&mut self, entry: &RecordEntry) {
        // The server may have answered the create with a running meeting that lacks Usher's mark.
        let guess = self.case.listing.key(self.key).filter(|listed| !listed.ours);
        if let Some(listed) = self.unexplained.take().or(guess.map(|listed| listed.meeting)) {
            let record = self.confirmed(&entry.stored.value, listed);
            self.draft.activate(self.key, record);
        } else if !self.record_changed() && self.case.listing.key(self.key).is_none() {
            let deadline = entry.placed_at + self.case.fleet.policy().create_timeout;
            if self.case.sent_at >= deadline {
                self.draft.drop_pending(self.key, &entry.stored.value);
            }
        }
    }

    fn settle_active(&mut self, entry: &RecordEntry, internal_id: &InternalMeetingId) {
        if self.case.listing.instance(internal_id).is_some() {
            self.explain(internal_id);
            if ends_on_return(self.case.fleet, self.case.server) {
                self.draft.guard_choice(self.case.server.id());
                self.draft.remove_record(self.key);
                let (key, id) = (self.zombie_key.clone(), Some(internal_id.clone()));
                self.draft.set_zombie(key, ZombieState::Due, id, "its server returned from offline");
            }
            return;
        }
        let newer = self.unexplained.take();
        if self.record_changed() {
            return;
        }
        let mut draft = PlanDraft::new(self.case.fleet, self.case.now.wall_ms);
        let doubtful = if let Some(listed) = newer {
            draft.activate(self.key, self.confirmed(&entry.stored.value, listed));
            // An instance older than the record's comes from an outdated list, or from a server
            // whose clock was set back. The server is queried before the record changes.
            self.create_time(listed) < create_time_of(internal_id)
        } else {
            draft.remove_record(self.key);
            self.case.now.instant.saturating_duration_since(entry.changed_at) < YOUNG
        };
        if doubtful {
            self.outcome.verify = Some(InstanceCheck {
                key: self.key.clone(),
                server: self.zombie_key.server.clone(),
                internal_id: internal_id.clone(),
                doubt: CheckReason::Missing,
                if_gone: draft.into_plan(),
            });
        } else {
            self.draft.append(draft);
        }
    }

    fn settle_ending(&mut self, entry: &RecordEntry, internal_id: Option<&InternalMeetingId>) {
        let case = self.case;
        let same = match internal_id {
            Some(id) => case.listing.instance(id),
            None => self.unexplained,
        };
        if let Some(listed) = same {
            self.explain(&listed.internal_id);
            // The server answered SUCCESS to the `end` and did not end the meeting, or a late
            // report hit a newer instance. The meeting routes again, so that it does not run
            // unrouted (I4).
            let waited = case.now.instant.saturating_duration_since(entry.changed_at);
            if !self.record_changed() && waited > case.fleet.policy().reservation_ttl() {
                let record = self.confirmed(&entry.stored.value, listed);
                self.draft.activate(self.key, record);
            }
        } else if !self.record_changed() {
            match self.unexplained.take() {
                Some(newer) => {
                    let record = self.confirmed(&entry.stored.value, newer);
                    self.draft.activate(self.key, record);
                }
                None => self.draft.remove_record(self.key),
            }
        }
    }

    /// Decides about a listed instance that no record and no zombie of this server explains: it
    /// comes from a request that arrived after its caller had abandoned it, or from a store that
    /// was lost. An instance without Usher's mark may be adopted, but is never ended for the sake
    /// of another, because it belongs to another balancer (I2).
    fn settle_unknown(&mut self, record: Option<&Stored<MeetingRecord>>) {
        let Some(listed) = self.unexplained else { return };
        let id = listed.internal_id.clone();
        match record {
            None if self.case.fleet.policy().adopt != AdoptPolicy::None => {
                if !self.record_changed() && self.accepts() && !self.is_taken(listed) {
                    self.draft.guard_server(self.case.server.id());
                    if self.is_unscoped(&id) {
                        self.draft.guard_unscoped(&self.key.meeting, self.case.server.id());
                    }
                    let record = self.adopted(id, listed);
                    self.draft.activate(self.key, record);
                }
            }
            Some(record)
                if record.value.server != *self.case.server.id()
                    && listed.key.is_some()
                    && !self.zombie_stands =>
            {
                self.settle_double(record, listed);
            }
            Some(record) if self.is_second_room(&record.value, listed) => {
                self.draft.guard_record(self.key);
                let reason = "a second instance of a breakout room";
                self.draft.set_zombie(self.zombie_key.clone(), ZombieState::Due, Some(id), reason);
            }
            None | Some(_) => {}
        }
    }

    /// Returns whether the listed instance is a second one of the record's breakout room: a late
    /// create reached the server. This happens with breakout rooms only, because the server itself
    /// ensures one instance of any other meeting (ADR 15).
    fn is_second_room(&self, record: &MeetingRecord, listed: &SampledMeeting) -> bool {
        let runs = |instance: &InternalMeetingId| {
            *instance != listed.internal_id && self.case.listing.instance(instance).is_some()
        };
        let first = record.state.internal_id().filter(|_| record.server == self.zombie_key.server);
        listed.named && !self.zombie_stands && !self.record_changed() && first.is_some_and(runs)
    }

    fn is_unscoped(&self, instance: &InternalMeetingId) -> bool {
        TenantScope::of(&self.key.tenant).is_unscoped(self.key.meeting.as_str(), instance)
    }

    /// Returns whether an unmarked meeting cannot be adopted for this tenant, because its name on
    /// the server is not the tenant's unscoped id, or belongs to a meeting of tenant `default`
    /// there (ADR 12).
    fn is_taken(&self, listed: &SampledMeeting) -> bool {
        let is_default = self.key.tenant.as_str() == TenantId::DEFAULT;
        if is_default || listed.key.is_some() && !self.is_unscoped(&listed.internal_id) {
            return false;
        }
        let namesake = MeetingKey::new(TenantId::default_tenant(), self.key.meeting.clone());
        let record = self.case.fleet.record(&namesake);
        !self.is_unscoped(&listed.internal_id)
            || record.is_some_and(|stored| stored.value.server == *self.case.server.id())
    }

    fn explain(&mut self, internal_id: &InternalMeetingId) {
        self.unexplained.take_if(|listed| listed.internal_id == *internal_id);
    }

    fn record_changed(&self) -> bool {
        self.case.fleet.record_changed_since(self.key, self.case.sample.watermark)
    }

    fn accepts(&self) -> bool {
        self.case.server.admin() != AdminState::Disabled
    }

    fn create_time(&self, listed: &SampledMeeting) -> i64 {
        match create_time_of(&listed.internal_id) {
            0 => self.case.sample.taken_at_ms.saturating_sub_unsigned(listed.age_ms),
            time => time,
        }
    }

    /// Returns the record as ACTIVE with the listed instance. The poll shows that the meeting exists,
    /// not that the server has answered its create: a create may hang long after that (F5).
    fn confirmed(&self, record: &MeetingRecord, listed: &SampledMeeting) -> MeetingRecord {
        let unanswered = record.unanswered || record.state == RecordState::Pending;
        let internal_id = listed.internal_id.clone();
        let state = RecordState::Active { internal_id, create_time_ms: self.create_time(listed) };
        MeetingRecord { state, breakout: listed.breakout, unanswered, ..record.clone() }
    }

    fn adopted(&self, internal_id: InternalMeetingId, listed: &SampledMeeting) -> MeetingRecord {
        let create_time_ms = self.create_time(listed);
        MeetingRecord {
            state: RecordState::Active { internal_id, create_time_ms },
            server: self.zombie_key.server.clone(),
            token: String::new(),
            request_digest: Box::default(),
            created_at_ms: create_time_ms,
            max_users: listed.max_users,
            size_hint: listed.size_hint,
            // The next poll lists the number and writes it to the record (ADR 14).
            voice_bridge: None,
            breakout: listed.breakout,
            unanswered: false,
        }
    }
}
