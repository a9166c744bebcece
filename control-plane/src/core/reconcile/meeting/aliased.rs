//! One server under two entries (ADR 21). An instance is identified by its internal id, which
//! contains the time of its creation: two entries that list the same instance are one server. The
//! instance is no duplicate of itself, and no zombie of one entry while a record names it through
//! the other.

use usher_model::{
    id::{InternalMeetingId, ServerId},
    meeting::{MeetingRecord, RecordState, Zombie, ZombieKey, ZombieState},
    server::{AdminState, Health, SampledMeeting},
};

use super::Meeting;
use crate::core::{
    draft::PlanDraft,
    instance::create_time_of,
    reconcile::findings::{CheckReason, InstanceCheck},
};

impl Meeting<'_> {
    /// Decides about a listed instance that a zombie of the same id names on another entry.
    ///
    /// | that zombie | the id's record | result on this entry |
    /// |---|---|---|
    /// | any | names the instance | unchanged; the zombie is removed when its own entry is polled |
    /// | *waiting* | PENDING here | the record may be confirmed with the instance |
    /// | *waiting* | none, or PENDING elsewhere | unchanged: the instance may route again |
    /// | *waiting* | ACTIVE | *due* here too |
    /// | *due*, *ending* | any | *due* here too, because the other entry may be unreachable |
    pub(super) fn settle_zombie_of_another_entry(&mut self) {
        let Some(listed) = self.unexplained else { return };
        let id = &listed.internal_id;
        let Some((other, zombie)) = self.zombie_of_another_entry(id) else { return };
        let record = self.case.fleet.record(self.key).map(|stored| &stored.value);
        let is_here = |record: &MeetingRecord| record.server == self.zombie_key.server;
        let waiting = zombie.state == ZombieState::Waiting;
        if record.is_some_and(|record| record.names(id) || waiting && is_here(record)) {
            return;
        }
        self.unexplained = None;
        let abandoned = !self.waits_on_another_entry(id, record);
        if abandoned && !self.zombie_stands && record.is_none_or(|record| !is_here(record)) {
            self.draft.guard_record(self.key);
            self.draft.guard_zombie(&other);
            let (zombie, id) = (self.zombie_key.clone(), Some(id.clone()));
            self.draft.set_zombie(zombie, ZombieState::Due, id, "due on another entry of its server");
            self.zombie_stands = true;
        }
    }

    /// Returns whether a zombie on another entry names the instance and still waits for the
    /// confirmation of its replacement.
    pub(super) fn waits_on_another_entry(
        &self,
        id: &InternalMeetingId,
        record: Option<&MeetingRecord>,
    ) -> bool {
        let replaced = record.is_some_and(|record| matches!(record.state, RecordState::Active { .. }));
        let zombie = self.zombie_of_another_entry(id);
        zombie.is_some_and(|(_, zombie)| zombie.state == ZombieState::Waiting) && !replaced
    }

    fn zombie_of_another_entry(&self, id: &InternalMeetingId) -> Option<(ZombieKey, &Zombie)> {
        let zombies = self.case.fleet.zombies_of(self.key);
        let mut others = zombies.filter(|(other, _)| other.server != self.zombie_key.server);
        let named = others.find(|(_, stored)| stored.value.internal_id.as_ref() == Some(id));
        named.map(|(other, stored)| (other, &stored.value))
    }

    /// Returns the server of a record on another entry if the listed instance may belong to that
    /// record: it is newer, and its confirmation may be on its way. That server can say whether it
    /// runs the instance. Returns `None` if the server is offline or disabled, because it cannot be
    /// queried.
    pub(super) fn home_in_doubt(&self, record: &MeetingRecord, listed: &SampledMeeting) -> Option<ServerId> {
        let home = self.case.fleet.server(&record.server)?;
        let can_be_asked = home.admin() != AdminState::Disabled && home.health() != Health::Offline;
        let newer = record.state.internal_id().is_none_or(|id| create_time_of(id) < self.create_time(listed));
        (record.server != self.zombie_key.server && can_be_asked && newer).then(|| record.server.clone())
    }

    /// Requests that `home` is queried for the instance of a suspect zombie. If `home` does not
    /// know the instance, the zombie gets its name, and the next poll ends it.
    pub(super) fn name_once_sure(&mut self, home: ServerId, instance: InternalMeetingId) {
        let mut draft = PlanDraft::new(self.case.fleet, self.case.now.wall_ms);
        draft.guard_record(self.key);
        draft.move_zombie(&self.zombie_key, ZombieState::Due, Some(instance.clone()));
        self.ask(home, instance, draft);
    }

    /// Requests that the server of the id's record is queried for an instance; `draft` is committed
    /// if that server does not know it.
    pub(super) fn ask(&mut self, home: ServerId, internal_id: InternalMeetingId, draft: PlanDraft<'_>) {
        let if_gone = draft.into_plan();
        let key = self.key.clone();
        let doubt = CheckReason::OneServerTwice;
        self.outcome.verify = Some(InstanceCheck { key, server: home, internal_id, doubt, if_gone });
    }
}
