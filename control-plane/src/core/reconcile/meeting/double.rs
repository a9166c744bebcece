//! One id that runs on two servers. Normally the record decides which server has it. After a store
//! was emptied or set back, the record may be outdated, or may have been adopted from the poll that
//! came first: then the newer instance has the id, as an answer with an older `createTime` never
//! replaces a newer one (A5, ADR 8).

use usher_model::{
    meeting::{MeetingRecord, RecordState, ZombieKey, ZombieState},
    server::{AdminState, SampledMeeting},
    settings::AdoptPolicy,
};

use super::Meeting;
use crate::core::{draft::PlanDraft, fleet::FleetServer, instance::create_time_of, plan::Stored};

impl Meeting<'_> {
    /// Decides about a marked instance that runs here while the record of the id names another
    /// server.
    ///
    /// | record | its server | result |
    /// |---|---|---|
    /// | of this very instance | removed | the server returned under another name: this entry gets the id |
    /// | of this very instance | present | unchanged: one server under two entries (ADR 21) |
    /// | of a create in this epoch, older than this instance or not confirmed | reachable | that server is queried for this instance, which becomes *due* here if the server does not know it |
    /// | of a create in this epoch, otherwise | any | *due* here |
    /// | of an earlier epoch, or adopted | any, and this is the first poll here in this epoch and finds the newer instance | this entry gets the id, the other instance becomes *due* |
    /// | the same, otherwise | not polled in this epoch, or disabled | unchanged for now |
    /// | the same, otherwise | polled in this epoch | as for a create in this epoch |
    pub(super) fn settle_double(&mut self, record: &Stored<MeetingRecord>, listed: &SampledMeeting) {
        let fleet = self.case.fleet;
        let id = listed.internal_id.clone();
        if record.value.names(&id) {
            if fleet.server(&record.value.server).is_none() && self.accepts() {
                self.take_over(&record.value, listed);
            }
            return;
        }
        if record.modified <= fleet.epoch().begun || is_adopted(&record.value) {
            let newer = self.create_time(listed) > create_time(&record.value);
            // A server that was disabled meanwhile has no sample either, but it was polled in this
            // epoch. An instance that it lists beside the record is left over, even if it is newer,
            // and the users of the record's instance stay where they are.
            let first_look = !fleet.knows(self.case.server) && !self.case.server.asked_before();
            if newer && first_look && self.accepts() {
                return self.take_over(&record.value, listed);
            }
            let asked = |server: &FleetServer| server.admin() != AdminState::Disabled && fleet.knows(server);
            if !fleet.server(&record.value.server).is_some_and(asked) {
                return;
            }
        }
        let mut draft = PlanDraft::new(fleet, self.case.now.wall_ms);
        draft.guard_record(self.key);
        let reason = "found running while the id lives on another server";
        draft.set_zombie(self.zombie_key.clone(), ZombieState::Due, Some(id.clone()), reason);
        match self.home_in_doubt(&record.value, listed) {
            Some(home) => self.ask(home, id, draft),
            None => self.draft.append(draft),
        }
    }

    fn take_over(&mut self, older: &MeetingRecord, listed: &SampledMeeting) {
        self.draft.guard_server(self.case.server.id());
        if self.case.fleet.server(&older.server).is_some() {
            let zombie = ZombieKey { meeting: self.key.clone(), server: older.server.clone() };
            let reason = "older than an instance on another server";
            // An adopted instance may belong to another balancer. Then the zombie names no instance
            // and so applies only to a meeting with Usher's mark (I2, ADR 12).
            let ours = self.case.fleet.policy().adopt != AdoptPolicy::All && !is_adopted(older);
            let id = older.state.internal_id().filter(|_| ours).cloned();
            self.draft.set_zombie(zombie, ZombieState::Due, id, reason);
        }
        let record = self.adopted(listed.internal_id.clone(), listed);
        self.draft.activate(self.key, record);
    }
}

/// Returns whether a record was adopted from a list, so that no create confirms it.
fn is_adopted(record: &MeetingRecord) -> bool {
    record.token.is_empty() && record.request_digest.is_empty()
}

fn create_time(record: &MeetingRecord) -> i64 {
    match &record.state {
        RecordState::Pending => i64::MIN,
        RecordState::Active { create_time_ms, .. } => *create_time_ms,
        RecordState::Ending { internal_id } => internal_id.as_ref().map_or(i64::MIN, create_time_of),
    }
}

#[cfg(test)]
mod tests {
    use usher_model::{
        meeting::{MeetingRecord, RecordState, ZombieState},
        server::{AdminState, Server, ServerSample},
        settings::AdoptPolicy,
    };

    use crate::core::{
        fleet::Fleet,
        plan::{FleetKey, PlanWrite},
        policy::Policy,
        reconcile::on_sample,
        testkit::{FleetBench, iid, key, sample, server, sid, zkey},
    };

    fn record(server: &str, instance: i64, token: &str) -> MeetingRecord {
        MeetingRecord {
            state: RecordState::Active {
                internal_id: iid(&format!("i-{instance}")),
                create_time_ms: instance,
            },
            server: sid(server),
            token: token.to_owned(),
            request_digest: Box::default(),
            created_at_ms: 0,
            max_users: 0,
            size_hint: 0,
            voice_bridge: None,
            breakout: false,
            unanswered: false,
        }
    }

    /// Returns servers `a` and `b` with a record that was written before the epoch began.
    fn set_back(before: Option<MeetingRecord>) -> FleetBench {
        let mut bench = FleetBench::with_servers(Policy::default(), &["a", "b"]);
        if let Some(record) = before {
            bench.write(PlanWrite::Record(key("m"), record));
        }
        bench.fleet = Fleet::new(7, Policy::default()).begun_at(bench.store.revision);
        bench.store.catch_up(&mut bench.fleet, bench.now.instant);
        bench
    }

    /// Polls a server, commits the resulting plans, and writes the sample.
    fn polled(bench: &mut FleetBench, server: &str, instance: &str) {
        let sample = sample(bench.store.revision, &[("m", instance)]);
        let work = on_sample(&bench.fleet, &sid(server), &sample, bench.now.instant, bench.now);
        // A server that is queried for the instance of another server does not know it.
        for plan in work.plans.into_iter().chain(work.verify.into_iter().map(|asked| asked.if_gone)) {
            assert!(bench.commit(&plan));
        }
        bench.write(PlanWrite::Sample(sid(server), sample));
    }

    fn lives_on(bench: &FleetBench) -> (String, Option<String>) {
        let record = &bench.fleet.record(&key("m")).expect("`m` has a record").value;
        (record.server.to_string(), record.state.internal_id().map(ToString::to_string))
    }

    fn due(bench: &FleetBench, server: &str) -> bool {
        let zombie = bench.fleet.zombie(&zkey("m", server)).map(|stored| stored.value.state);
        assert!(zombie.is_none_or(|state| state == ZombieState::Due), "{zombie:?}");
        zombie.is_some()
    }

    #[test]
    fn a5_of_two_instances_that_a_lost_store_left_the_newer_has_the_id() {
        for order in [["a", "b"], ["b", "a"]] {
            let mut bench = set_back(None);
            for server in order {
                polled(&mut bench, server, if server == "a" { "i-1" } else { "i-2" });
            }
            assert_eq!(lives_on(&bench), ("b".to_owned(), Some("i-2".to_owned())), "{order:?}");
            assert!(due(&bench, "a") && !due(&bench, "b"), "{order:?}");
        }
    }

    #[test]
    fn i10_an_instance_created_after_a_backup_takes_the_id_from_the_one_in_the_backup() {
        let mut bench = set_back(Some(record("a", 1, "t")));
        polled(&mut bench, "b", "i-2");
        assert_eq!(lives_on(&bench), ("b".to_owned(), Some("i-2".to_owned())));
        assert!(due(&bench, "a"), "the instance of the backup may still run there");
    }

    #[test]
    fn i2_no_instance_is_ended_on_the_evidence_of_an_earlier_epoch() {
        let mut bench = set_back(Some(record("a", 5, "t")));
        polled(&mut bench, "b", "i-2");
        assert!(!due(&bench, "a") && !due(&bench, "b"), "`a` was not polled yet");
        polled(&mut bench, "a", "i-5");
        polled(&mut bench, "b", "i-2");
        assert_eq!(lives_on(&bench).0, "a");
        assert!(due(&bench, "b") && !due(&bench, "a"));
    }

    #[test]
    fn i2_a_newer_instance_of_ours_ends_no_meeting_of_another_balancer() {
        let policy = Policy { adopt: AdoptPolicy::All, ..Policy::default() };
        let mut bench = FleetBench::with_servers(policy.clone(), &["a", "b"]);
        bench.fleet = Fleet::new(7, policy).begun_at(bench.store.revision);
        bench.store.catch_up(&mut bench.fleet, bench.now.instant);
        let mut foreign = sample(bench.store.revision, &[("m", "i-1")]);
        foreign.meetings[0].key = None;
        let polled_a = |bench: &mut FleetBench| {
            let seen = ServerSample { watermark: bench.store.revision, ..foreign.clone() };
            let work = on_sample(&bench.fleet, &sid("a"), &seen, bench.now.instant, bench.now);
            for plan in work.plans {
                assert!(bench.commit(&plan));
            }
            work.ends.len()
        };
        assert_eq!(polled_a(&mut bench), 0);
        assert_eq!(lives_on(&bench).0, "a");
        polled(&mut bench, "b", "i-2");
        assert_eq!(lives_on(&bench).0, "b");
        assert_eq!(polled_a(&mut bench), 0);
        assert!(!due(&bench, "a"), "the instance there has no mark of Usher");
    }

    #[test]
    fn i10_a_server_that_returns_under_another_name_keeps_its_meetings() {
        let mut bench = set_back(Some(record("gone", 1, "t")));
        polled(&mut bench, "b", "i-1");
        assert_eq!(lives_on(&bench), ("b".to_owned(), Some("i-1".to_owned())));
        let mut bench = set_back(Some(record("gone", 5, "t")));
        polled(&mut bench, "b", "i-1");
        assert_eq!(lives_on(&bench).0, "gone", "an older instance: the record's server may return");
    }

    #[test]
    fn i2_an_instance_left_on_a_server_that_is_enabled_again_takes_no_id() {
        let mut bench = set_back(None);
        for server in ["a", "b"] {
            bench.write(PlanWrite::Sample(sid(server), sample(bench.store.revision, &[])));
        }
        // An edge confirmed a forwarded create whose record was gone. The record looks as if a poll
        // had adopted it, although a client has the meeting.
        bench.write(PlanWrite::Record(key("m"), record("a", 4, "")));
        for state in [AdminState::Disabled, AdminState::Enabled] {
            bench.write(PlanWrite::server(Server { admin: state, ..server("b") }));
            bench.write(PlanWrite::Delete(FleetKey::Sample(sid("b"))));
        }
        polled(&mut bench, "b", "i-5");
        assert_eq!(lives_on(&bench).0, "a");
        assert!(!due(&bench, "a") && due(&bench, "b"));
    }

    #[test]
    fn a_record_of_a_create_in_this_epoch_keeps_its_id() {
        let mut bench = set_back(None);
        bench.write(PlanWrite::Record(key("m"), record("a", 1, "t")));
        polled(&mut bench, "b", "i-2");
        assert_eq!(lives_on(&bench).0, "a");
        assert!(due(&bench, "b"));
    }
}
